/* What the harness's own programs inside the machine share: one JSON line at a time, UTF-8, never torn.
 *
 * Everything here is a helper or a stand-in of the harness, never part of the product under test.
 */
#ifndef RR_H
#define RR_H

#include <windows.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define POWER_PIPE L"\\\\.\\pipe\\rrsim-power"       /* restart requests; one message, one answer (a decimal error code) */
#define SERVICE_PIPE L"\\\\.\\pipe\\rrsim-services"  /* controls for services; opened by the service's process */
#define BOOT_FILE L"C:\\Boot\\bcd.standin"           /* boot options: lines "name=value" */
#define OPTION_KEY L"SYSTEM\\CurrentControlSet\\Control\\SafeBoot\\Option"

/* Whether the boot options ask for a safe boot with networking. */
static inline BOOL boot_flag_is_set(void)
{
    char text[512] = "";
    DWORD n = 0;
    HANDLE file = CreateFileW(BOOT_FILE, GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) return FALSE;
    ReadFile(file, text, sizeof text - 1, &n, NULL);
    CloseHandle(file);
    return strstr(text, "safeboot=network") != NULL;
}

/* A growing UTF-8 text. */
typedef struct { char *text; size_t used, room; } Text;

static inline void text_raw(Text *t, const char *more, size_t n)
{
    if (t->used + n + 1 > t->room) {
        t->room = (t->used + n + 1) * 2;
        t->text = realloc(t->text, t->room);
        if (!t->text) ExitProcess(70);
    }
    memcpy(t->text + t->used, more, n);
    t->used += n;
    t->text[t->used] = 0;
}

static inline void text_add(Text *t, const char *format, ...)
{
    char small[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n > 0) text_raw(t, small, n < (int)sizeof small ? (size_t)n : sizeof small - 1);
}

/* Adds a JSON string. */
static inline void text_json(Text *t, const wchar_t *wide)
{
    int n = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *utf8 = malloc(n > 0 ? n : 1);
    if (n > 0) WideCharToMultiByte(CP_UTF8, 0, wide, -1, utf8, n, NULL, NULL);
    text_raw(t, "\"", 1);
    for (char *c = utf8; n > 1 && *c; c++) {
        if (*c == '"' || *c == '\\') { text_raw(t, "\\", 1); text_raw(t, c, 1); }
        else if ((unsigned char)*c < 0x20) text_add(t, "\\u%04x", (unsigned char)*c);
        else text_raw(t, c, 1);
    }
    text_raw(t, "\"", 1);
    free(utf8);
}

static inline wchar_t *wide_of(const char *utf8)
{
    int n = MultiByteToWideChar(CP_UTF8, 0, utf8, -1, NULL, 0);
    wchar_t *wide = malloc((n > 0 ? n : 1) * sizeof *wide);
    wide[0] = 0;
    if (n > 0) MultiByteToWideChar(CP_UTF8, 0, utf8, -1, wide, n);
    return wide;
}

/* The two ends of the line to the supervisor, kept from every child. */
__declspec(selectany) HANDLE rr_in = NULL, rr_out = NULL; /* one of each a program, however many files it has */
__declspec(selectany) CRITICAL_SECTION rr_lock = {0};

/* Takes standard input and output away from the process's children: only this program talks to the supervisor. */
static inline void rr_take_line(void)
{
    SECURITY_ATTRIBUTES inherit = {sizeof inherit, NULL, TRUE};
    HANDLE self = GetCurrentProcess(), in = GetStdHandle(STD_INPUT_HANDLE), out = GetStdHandle(STD_OUTPUT_HANDLE);
    InitializeCriticalSection(&rr_lock);
    DuplicateHandle(self, in, self, &rr_in, 0, FALSE, DUPLICATE_SAME_ACCESS);
    DuplicateHandle(self, out, self, &rr_out, 0, FALSE, DUPLICATE_SAME_ACCESS);
    CloseHandle(in);
    CloseHandle(out);
    HANDLE nul = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, 3, &inherit, OPEN_EXISTING, 0, NULL);
    SetStdHandle(STD_INPUT_HANDLE, nul);
    SetStdHandle(STD_OUTPUT_HANDLE, nul);
    SetStdHandle(STD_ERROR_HANDLE, nul);
}

/* Sends one line and forgets it. */
static inline void rr_say(Text *t)
{
    DWORD n;
    text_raw(t, "\n", 1);
    EnterCriticalSection(&rr_lock);
    WriteFile(rr_out, t->text, (DWORD)t->used, &n, NULL);
    LeaveCriticalSection(&rr_lock);
    free(t->text);
    memset(t, 0, sizeof *t);
}

/* Reads one line without its end; NULL when the supervisor is gone. */
static inline char *rr_hear(void)
{
    static char kept[65536];
    static size_t have;
    for (;;) {
        char *end = memchr(kept, '\n', have);
        if (end) {
            size_t n = end - kept;
            char *line = malloc(n + 1);
            memcpy(line, kept, n);
            line[n] = 0;
            memmove(kept, end + 1, have - n - 1);
            have -= n + 1;
            return line;
        }
        DWORD got;
        if (have == sizeof kept || !ReadFile(rr_in, kept + have, (DWORD)(sizeof kept - have), &got, NULL) || !got)
            return NULL;
        have += got;
    }
}

/* Cuts the next field, up to a tab, off a line. */
static inline char *rr_field(char **line)
{
    char *field = *line ? *line : "";
    char *tab = *line ? strchr(*line, '\t') : NULL;
    if (tab) { *tab = 0; *line = tab + 1; } else *line = NULL;
    return field;
}

#endif
