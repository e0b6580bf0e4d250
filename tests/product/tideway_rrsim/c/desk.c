/* What the guest sees: the window for the code, the desk with the chat, questions, and short notes. */
#include "tideway.h"

enum { CODE_TEXT = 110, CODE_GO = 111, DESK_LINES = 200, DESK_TEXT = 210, DESK_SAY = 211, DESK_SHARED = 230 };
enum { ASK_YES = 301, ASK_NO = 302 };

typedef struct { int about, number; } Question;

static HWND desk, note, questions[4];
static wchar_t spoken[16384];
static BOOL shared;
static char *given_code;
static size_t code_room;

static const wchar_t *const TITLES[] = {
    L"", L"Restart this computer?", L"Show your screen?", L"Stay in the support case?",
};
static const wchar_t *const TEXTS[] = {
    L"", L"The technician wants to restart this computer. The case goes on afterwards.",
    L"The technician wants to see your screen.", L"Do you want to stay in the support case?",
};

/* Every kind of window has its own place, so that none lies over another's buttons. */
static HWND make(const wchar_t *cls, const wchar_t *title, WNDPROC proc, int x, int y, int width, int height)
{
    WNDCLASSW is = {.lpfnWndProc = proc, .lpszClassName = cls, .hbrBackground = (HBRUSH)(COLOR_BTNFACE + 1),
                    .hCursor = LoadCursorW(NULL, IDC_ARROW)};
    RegisterClassW(&is);
    return CreateWindowExW(0, cls, title, WS_CAPTION | WS_SYSMENU, x, y, width, height, NULL, NULL, NULL, NULL);
}

static HWND part(HWND in, const wchar_t *cls, const wchar_t *text, DWORD style, int id, int x, int y, int w, int h)
{
    return CreateWindowExW(0, cls, text, WS_CHILD | style, x, y, w, h, in, (HMENU)(INT_PTR)id, NULL, NULL);
}

/* ---- the code ---- */

static LRESULT CALLBACK on_code(HWND window, UINT message, WPARAM w, LPARAM l)
{
    if (message == WM_COMMAND && LOWORD(w) == CODE_GO) {
        GetDlgItemTextA(window, CODE_TEXT, given_code, (int)code_room);
        PostQuitMessage(0);
        return 0;
    }
    if (message == WM_CLOSE) {
        PostQuitMessage(0);
        return 0;
    }
    return DefWindowProcW(window, message, w, l);
}

BOOL desk_code(char *code, size_t room)
{
    MSG message;
    given_code = code;
    code_room = room;
    *code = 0;
    HWND window = make(L"TidewayCode", L"Tideway Support", on_code, 20, 20, 320, 130);
    part(window, L"STATIC", L"Code from your technician:", WS_VISIBLE, 0, 10, 10, 280, 20);
    HWND text = part(window, L"EDIT", L"", WS_VISIBLE | WS_BORDER | WS_TABSTOP, CODE_TEXT, 10, 35, 200, 24);
    part(window, L"BUTTON", L"Start", WS_VISIBLE | WS_TABSTOP | BS_DEFPUSHBUTTON, CODE_GO, 220, 35, 80, 24);
    ShowWindow(window, SW_SHOW);
    SetForegroundWindow(window);
    SetFocus(text);
    while (GetMessageW(&message, NULL, 0, 0) > 0) {
        TranslateMessage(&message);
        DispatchMessageW(&message);
    }
    DestroyWindow(window);
    return *code != 0;
}

/* ---- the desk ---- */

static LRESULT CALLBACK on_desk(HWND window, UINT message, WPARAM w, LPARAM l)
{
    wchar_t text[512];
    if (message == WM_COMMAND && LOWORD(w) == DESK_SAY && GetDlgItemTextW(window, DESK_TEXT, text, 512)) {
        char *line = malloc(2048);
        WideCharToMultiByte(CP_UTF8, 0, text, -1, line, 2048, NULL, NULL);
        SetDlgItemTextW(window, DESK_TEXT, L"");
        PostMessageW(hub, HUB_SAY, 0, (LPARAM)line);
        return 0;
    }
    if (message == WM_CLOSE) {
        PostMessageW(hub, HUB_CLOSE, 0, 0);
        return 0;
    }
    return DefWindowProcW(window, message, w, l);
}

void desk_open(void)
{
    if (desk) return;
    desk = make(L"TidewayDesk", L"Tideway Support", on_desk, 560, 20, 420, 330);
    part(desk, L"EDIT", spoken, WS_VISIBLE | WS_BORDER | ES_MULTILINE | ES_READONLY | WS_VSCROLL, DESK_LINES, 10, 10, 390, 190);
    part(desk, L"EDIT", L"", WS_VISIBLE | WS_BORDER | WS_TABSTOP, DESK_TEXT, 10, 210, 300, 24);
    part(desk, L"BUTTON", L"Say", WS_VISIBLE | WS_TABSTOP, DESK_SAY, 320, 210, 80, 24);
    part(desk, L"STATIC", L"The technician sees your screen.", shared ? WS_VISIBLE : 0, DESK_SHARED, 10, 245, 390, 20);
    ShowWindow(desk, SW_SHOW);
}

void desk_close(void)
{
    if (desk) DestroyWindow(desk);
    desk = NULL;
}

void desk_line(const char *who, const char *text)
{
    wchar_t line[1024], part_of[512];
    MultiByteToWideChar(CP_UTF8, 0, text, -1, part_of, 512);
    swprintf(line, 1024, L"%hs: %ls\r\n", who, part_of);
    if (wcslen(spoken) + wcslen(line) + 1 < sizeof spoken / sizeof *spoken) wcscat(spoken, line);
    if (desk) SetDlgItemTextW(desk, DESK_LINES, spoken);
}

void desk_screen(BOOL on)
{
    shared = on;
    if (desk) ShowWindow(GetDlgItem(desk, DESK_SHARED), on ? SW_SHOW : SW_HIDE);
}

/* ---- questions ---- */

static void answer(HWND window, int what)
{
    Question *asked = (Question *)GetWindowLongPtrW(window, GWLP_USERDATA);
    if (!asked) return;
    SetWindowLongPtrW(window, GWLP_USERDATA, 0);
    questions[asked->about] = NULL;
    PostMessageW(hub, HUB_ANSWER, MAKEWPARAM(asked->about, what), asked->number);
    free(asked);
    DestroyWindow(window);
}

static LRESULT CALLBACK on_ask(HWND window, UINT message, WPARAM w, LPARAM l)
{
    Question *asked = (Question *)GetWindowLongPtrW(window, GWLP_USERDATA);
    if (message == WM_COMMAND && LOWORD(w) == ASK_YES) answer(window, ANSWER_YES);
    else if (message == WM_COMMAND && LOWORD(w) == ASK_NO) answer(window, ANSWER_NO);
    else if (message == WM_TIMER) answer(window, ANSWER_SILENCE);
    else if (message == WM_CLOSE) answer(window, asked && asked->about == ASK_STAY ? ANSWER_YES : ANSWER_NO);
    else return DefWindowProcW(window, message, w, l);
    return 0;
}

void desk_ask(int about, int number, int limit_ms)
{
    if (questions[about]) return;
    HWND window = make(L"TidewayAsk", TITLES[about], on_ask, 20, 20 + 150 * (about - 1), 430, 140);
    Question *asked = malloc(sizeof *asked);
    *asked = (Question){about, number};
    SetWindowLongPtrW(window, GWLP_USERDATA, (LONG_PTR)asked);
    part(window, L"STATIC", TEXTS[about], WS_VISIBLE, 0, 10, 10, 400, 40);
    part(window, L"BUTTON", L"Yes", WS_VISIBLE | WS_TABSTOP, ASK_YES, 110, 60, 90, 28);
    part(window, L"BUTTON", L"No", WS_VISIBLE | WS_TABSTOP, ASK_NO, 220, 60, 90, 28);
    questions[about] = window;
    SetTimer(window, 1, limit_ms, NULL);
    ShowWindow(window, SW_SHOW);
}

void desk_drop(int about)
{
    HWND window = questions[about];
    if (!window) return;
    questions[about] = NULL;
    free((void *)GetWindowLongPtrW(window, GWLP_USERDATA));
    SetWindowLongPtrW(window, GWLP_USERDATA, 0);
    DestroyWindow(window);
}

/* ---- a note, as the last thing ---- */

static LRESULT CALLBACK on_note(HWND window, UINT message, WPARAM w, LPARAM l)
{
    if (message == WM_CLOSE || message == WM_TIMER || (message == WM_COMMAND && LOWORD(w) == IDOK)) {
        PostQuitMessage(0);
        return 0;
    }
    return DefWindowProcW(window, message, w, l);
}

void desk_note(const char *text, int limit_ms)
{
    wchar_t wide[512];
    MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, 512);
    desk_close();
    for (int about = ASK_RESTART; about <= ASK_STAY; about++) desk_drop(about);
    note = make(L"TidewayNote", L"Tideway Support", on_note, 560, 380, 430, 140);
    part(note, L"STATIC", wide, WS_VISIBLE, 0, 10, 10, 400, 40);
    part(note, L"BUTTON", L"OK", WS_VISIBLE | WS_TABSTOP, IDOK, 160, 60, 90, 28);
    SetTimer(note, 1, limit_ms, NULL);
    ShowWindow(note, SW_SHOW);
}
