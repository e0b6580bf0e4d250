/* A program for tests: a window that says yes or no to the end of the session and writes what it hears into C:\window.log.
 *
 * First word: "yes" or "no".
 */
#include <windows.h>
#include <stdio.h>
#include <string.h>

static int answer = 1;

static void note(const char *what, WPARAM w, LPARAM l)
{
    FILE *log = fopen("C:\\window.log", "a");
    fprintf(log, "%s w=%u l=%08lx\n", what, (unsigned)w, (unsigned long)l);
    fclose(log);
}

static LRESULT CALLBACK proc(HWND window, UINT message, WPARAM w, LPARAM l)
{
    if (message == WM_QUERYENDSESSION) { note("query", w, l); return answer; }
    if (message == WM_ENDSESSION) { note("end", w, l); return 0; }
    if (message == WM_COMMAND && LOWORD(w) == 7) { note("pressed", LOWORD(w), 0); return 0; }
    if (message == WM_DESTROY) { note("destroyed", 0, 0); PostQuitMessage(0); }
    return DefWindowProcA(window, message, w, l);
}

int WINAPI WinMain(HINSTANCE self, HINSTANCE before, char *command, int show)
{
    WNDCLASSA class = {.lpfnWndProc = proc, .hInstance = self, .lpszClassName = "probe window", .hbrBackground = (HBRUSH)(COLOR_BTNFACE + 1)};
    MSG message;
    (void)before; (void)show;
    answer = strcmp(command, "no") != 0;
    RegisterClassA(&class);
    HWND window = CreateWindowA("probe window", "Probe", WS_OVERLAPPEDWINDOW | WS_VISIBLE, 100, 100, 400, 300, NULL, NULL, self, NULL);
    CreateWindowA("BUTTON", "&Press me", WS_CHILD | WS_VISIBLE, 20, 20, 120, 30, window, (HMENU)7, self, NULL);
    CreateWindowA("EDIT", "", WS_CHILD | WS_VISIBLE | WS_BORDER, 20, 80, 200, 24, window, (HMENU)8, self, NULL);
    while (GetMessageA(&message, NULL, 0, 0) > 0) { TranslateMessage(&message); DispatchMessageA(&message); }
    return 0;
}
