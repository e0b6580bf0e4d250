/* Controls for services that Wine's own manager never sends: SHUTDOWN, PRESHUTDOWN, SESSIONCHANGE.
 *
 * Each service's process opens the pipe when it registers its handler, so a service hears only of what happens after it
 * was fully loaded, as on Windows; but for the sign-in, see tell_who_came_before. It gets a code and answers with what
 * became of it.
 */
#include "winlogon.h"

#define MOST_SERVICES 16

typedef struct {
    BOOL used;
    wchar_t name[128];
    HANDLE pipe, wanted, done; /* events: a control waits, it was carried out */
    DWORD order[2];
    char said[64];
} Service;

static Service services[MOST_SERVICES];
static CRITICAL_SECTION services_lock;
static BOOL logon_was_told; /* under the lock */

static BOOL move(Service *s, BOOL writing, void *data, DWORD size, DWORD *moved, DWORD limit_ms)
{
    OVERLAPPED wait = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
    BOOL ok = writing ? WriteFile(s->pipe, data, size, NULL, &wait) : ReadFile(s->pipe, data, size, NULL, &wait);
    if (!ok && GetLastError() == ERROR_IO_PENDING && WaitForSingleObject(wait.hEvent, limit_ms)) CancelIo(s->pipe);
    ok = GetOverlappedResult(s->pipe, &wait, moved, TRUE);
    CloseHandle(wait.hEvent);
    return ok;
}

/* Give a service a control; FALSE: it is gone. What became of it is a word in said. */
static BOOL give(Service *s, DWORD *order, char *said, DWORD size)
{
    DWORD n = 0;
    memset(said, 0, size);
    return move(s, TRUE, order, 2 * sizeof *order, &n, 2000) && move(s, FALSE, said, size - 1, &n, 30000);
}

/* On Windows a service that starts while somebody is signed in asks for the sessions; Wine's list of them is empty.
 * So it is told here, unless the notice to all has reached it. */
static BOOL tell_who_came_before(Service *s)
{
    DWORD order[2] = {SERVICE_CONTROL_SESSIONCHANGE, SESSION_LOGON};
    char said[sizeof s->said];
    if (!give(s, order, said, sizeof said)) return FALSE;
    Text t = {0};
    text_add(&t, "{\"event\":\"service told late\",\"service\":");
    text_json(&t, s->name);
    text_add(&t, "}");
    rr_say(&t);
    return TRUE;
}

static DWORD WINAPI attend(void *which)
{
    Service *s = which;
    DWORD n = 0;
    wchar_t name[128] = L"";
    BOOL up = move(s, FALSE, name, sizeof name - 2, &n, 5000), late = FALSE;
    if (up) {
        EnterCriticalSection(&services_lock);
        wcscpy(s->name, name);
        late = logon_was_told;
        LeaveCriticalSection(&services_lock);
        Text t = {0};
        text_add(&t, "{\"event\":\"service heard\",\"service\":");
        text_json(&t, s->name);
        text_add(&t, "}");
        rr_say(&t);
    }
    if (late) up = tell_who_came_before(s);
    while (up) {
        char peek;
        DWORD got;
        if (WaitForSingleObject(s->wanted, 500)) { /* nothing wanted: is the service still there? */
            up = PeekNamedPipe(s->pipe, &peek, 1, NULL, &got, NULL);
            continue;
        }
        up = give(s, s->order, s->said, sizeof s->said);
        if (!up) strcpy(s->said, "gone");
        SetEvent(s->done);
    }
    EnterCriticalSection(&services_lock);
    s->used = FALSE;
    CloseHandle(s->pipe);
    SetEvent(s->done);
    LeaveCriticalSection(&services_lock);
    return 0;
}

static DWORD WINAPI receive(void *unused)
{
    (void)unused;
    for (;;) {
        HANDLE pipe = CreateNamedPipeW(SERVICE_PIPE, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                                       PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, PIPE_UNLIMITED_INSTANCES, 4096, 4096, 0, NULL);
        OVERLAPPED wait = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
        DWORD n;
        if (!ConnectNamedPipe(pipe, &wait) && GetLastError() == ERROR_IO_PENDING) GetOverlappedResult(pipe, &wait, &n, TRUE);
        CloseHandle(wait.hEvent);
        EnterCriticalSection(&services_lock);
        Service *s = services;
        while (s < services + MOST_SERVICES && s->used) s++;
        if (s == services + MOST_SERVICES) CloseHandle(pipe);
        else {
            memset(s->name, 0, sizeof s->name);
            s->used = TRUE;
            s->pipe = pipe;
            ResetEvent(s->wanted);
            CloseHandle(CreateThread(NULL, 0, attend, s, 0, NULL));
        }
        LeaveCriticalSection(&services_lock);
    }
    return 0;
}

void services_serve(void)
{
    InitializeCriticalSection(&services_lock);
    for (Service *s = services; s < services + MOST_SERVICES; s++) {
        s->wanted = CreateEventW(NULL, FALSE, FALSE, NULL);
        s->done = CreateEventW(NULL, TRUE, FALSE, NULL);
    }
    CloseHandle(CreateThread(NULL, 0, receive, NULL, 0, NULL));
}

void services_tell(DWORD code, DWORD detail, DWORD limit_ms)
{
    HANDLE waits[MOST_SERVICES];
    Service *told[MOST_SERVICES];
    DWORD count = 0;
    EnterCriticalSection(&services_lock);
    if (code == SERVICE_CONTROL_SESSIONCHANGE) logon_was_told = detail == SESSION_LOGON;
    for (Service *s = services; s < services + MOST_SERVICES; s++) {
        if (!s->used || !*s->name) continue;
        s->order[0] = code;
        s->order[1] = detail;
        ResetEvent(s->done);
        SetEvent(s->wanted);
        told[count] = s;
        waits[count++] = s->done;
    }
    LeaveCriticalSection(&services_lock);
    DWORD waited = count ? WaitForMultipleObjects(count, waits, TRUE, limit_ms) : 0;
    for (DWORD i = 0; i < count; i++) {
        wchar_t *said = wide_of(WaitForSingleObject(waits[i], 0) ? "no answer" : told[i]->said);
        Text t = {0};
        text_add(&t, "{\"event\":\"service told\",\"code\":%lu,\"detail\":%lu,\"in_time\":%s,\"service\":", code, detail,
                 waited == WAIT_TIMEOUT ? "false" : "true");
        text_json(&t, told[i]->name);
        text_add(&t, ",\"said\":");
        text_json(&t, said);
        text_add(&t, "}");
        rr_say(&t);
        free(said);
    }
}
