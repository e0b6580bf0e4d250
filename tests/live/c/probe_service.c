/* A service for tests: it writes every control that it gets into C:\probe.log, and takes 300 ms to stop. */
#include <windows.h>
#include <stdio.h>
#include <wtsapi32.h>

static SERVICE_STATUS_HANDLE handle;
static HANDLE over;

static void note(const char *format, DWORD a, DWORD b)
{
    FILE *log = fopen("C:\\probe.log", "a");
    fprintf(log, format, a, b);
    fclose(log);
}

static void report(DWORD state)
{
    SERVICE_STATUS status = {SERVICE_WIN32_OWN_PROCESS, state, 0, 0, 0, 0, 0};
    if (state == SERVICE_RUNNING) status.dwControlsAccepted = SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_PRESHUTDOWN | SERVICE_ACCEPT_SESSIONCHANGE;
    SetServiceStatus(handle, &status);
}

static DWORD WINAPI on_control(DWORD code, DWORD type, void *data, void *context)
{
    (void)context;
    note("control %lu %lu\n", code, code == SERVICE_CONTROL_SESSIONCHANGE ? type * 100 + ((WTSSESSION_NOTIFICATION *)data)->dwSessionId : 0);
    if (code == SERVICE_CONTROL_PRESHUTDOWN || code == SERVICE_CONTROL_STOP) {
        report(SERVICE_STOP_PENDING);
        SetEvent(over);
    }
    return NO_ERROR;
}

static void WINAPI service_main(DWORD count, char **words)
{
    (void)count; (void)words;
    over = CreateEventA(NULL, TRUE, FALSE, NULL);
    handle = RegisterServiceCtrlHandlerExA("probe", on_control, NULL);
    note("started clean=%lu restart=%lu\n", GetSystemMetrics(SM_CLEANBOOT), 0);
    report(SERVICE_RUNNING);
    WaitForSingleObject(over, INFINITE);
    Sleep(300);
    note("stopped %lu %lu\n", 0, 0);
    report(SERVICE_STOPPED);
}

int main(void)
{
    SERVICE_TABLE_ENTRYA table[] = {{"probe", service_main}, {NULL, NULL}};
    return StartServiceCtrlDispatcherA(table) ? 0 : (int)GetLastError();
}
