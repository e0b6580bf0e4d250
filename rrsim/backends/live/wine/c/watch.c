/* Harness helper: the watcher (rrwatch.exe). It tells when a file, a registry value or a key appears, changes or goes.
 *
 * It is the outside witness of a program's calls to the operating system: it looks at what they left, and never asks the
 * program. A protected file is decrypted with the rights of the account that owns it, and only one thing is said of the
 * content: whether it holds a given text.
 *
 * Heard: "watch N file PATH MARKER", "watch N value HIVE KEY NAME", "watch N key HIVE KEY" (fields parted by tabs).
 * "look N" looks at once and answers {"reply":"N"} when everything seen was said: what happened before is not missed.
 * Said: {"event":"watch","n":N,"there":true,"marked":false,"first":true}; "first" is the state when the watch began.
 */
#include "rr.h"
#include <wincrypt.h>

#define LOOK_MS 15
#define MOST 16
#define FILE_MOST 65536
#define SETTLED_MS 1000

typedef struct {
    int number, kind, known, there, marked;
    wchar_t *first, *second;
    char *marker;
    HKEY hive;
    BY_HANDLE_FILE_INFORMATION is; /* of the very file whose content was looked at */
    int settled;                   /* written so long ago that its time would tell of another write */
} Watch;

static Watch watches[MOST];
static volatile LONG count;
static CRITICAL_SECTION looking;

static int holds(const BYTE *data, DWORD size, const char *marker)
{
    DWORD n = (DWORD)strlen(marker);
    for (DWORD i = 0; n && i + n <= size; i++)
        if (!memcmp(data + i, marker, n)) return 1;
    return 0;
}

static int is_protected(const BYTE *data, DWORD size)
{
    static const BYTE begins[] = {1, 0, 0, 0, 0xd0, 0x8c, 0x9d, 0xdf};
    return size >= sizeof begins && !memcmp(data, begins, sizeof begins);
}

/* Whether an open file's content, decrypted if it is protected, holds the marker; -1: it cannot be read now. */
static int marked(const Watch *w, HANDLE file)
{
    BYTE data[FILE_MOST];
    DWORD n = 0;
    int found;
    if (!ReadFile(file, data, sizeof data, &n, NULL) || !n) return -1;
    DATA_BLOB in = {n, data}, out = {0};
    if (!CryptUnprotectData(&in, NULL, NULL, NULL, NULL, CRYPTPROTECT_UI_FORBIDDEN, &out))
        return is_protected(data, n) ? -1 : holds(data, n, w->marker);
    found = holds(out.pbData, out.cbData, w->marker);
    SecureZeroMemory(out.pbData, out.cbData);
    LocalFree(out.pbData);
    return found;
}

static void say(const Watch *w, int first)
{
    Text t = {0};
    text_add(&t, "{\"event\":\"watch\",\"n\":%d,\"there\":%s,\"marked\":%s,\"first\":%s}", w->number,
             w->there ? "true" : "false", w->marked ? "true" : "false", first ? "true" : "false");
    rr_say(&t);
}

/* Files carry a time of some milliseconds' grain: one that is younger than this may be another with the same time. */
static int is_old(FILETIME written)
{
    FILETIME now;
    ULARGE_INTEGER a, b;
    GetSystemTimeAsFileTime(&now);
    a.LowPart = now.dwLowDateTime, a.HighPart = now.dwHighDateTime;
    b.LowPart = written.dwLowDateTime, b.HighPart = written.dwHighDateTime;
    return a.QuadPart > b.QuadPart + SETTLED_MS * 10000ull;
}

static int same_file(const BY_HANDLE_FILE_INFORMATION *a, const BY_HANDLE_FILE_INFORMATION *b)
{
    return !CompareFileTime(&a->ftLastWriteTime, &b->ftLastWriteTime) && a->nFileSizeLow == b->nFileSizeLow &&
           a->nFileIndexLow == b->nFileIndexLow && a->nFileIndexHigh == b->nFileIndexHigh;
}

static void file_is(Watch *w, int there, int mark)
{
    int first = !w->known;
    w->known = 1;
    w->there = there;
    w->marked = mark;
    say(w, first);
}

/* Time, size and content are taken from one open file: between two looks at its name another may have taken its place. */
static void look_at_file(Watch *w)
{
    WIN32_FILE_ATTRIBUTE_DATA now;
    BY_HANDLE_FILE_INFORMATION is;
    int mark = 0;
    if (!GetFileAttributesExW(w->first, GetFileExInfoStandard, &now)) {
        if (!w->known || w->there) file_is(w, 0, 0);
        return;
    }
    if (w->known && w->there && w->settled && !CompareFileTime(&now.ftLastWriteTime, &w->is.ftLastWriteTime) &&
        now.nFileSizeLow == w->is.nFileSizeLow)
        return;
    HANDLE file = CreateFileW(w->first, GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) return; /* being replaced: look again */
    int read = GetFileInformationByHandle(file, &is) && (!*w->marker || (mark = marked(w, file)) >= 0);
    CloseHandle(file);
    if (!read) return;
    int same = w->known && w->there && same_file(&is, &w->is) && mark == w->marked;
    w->is = is;
    w->settled = is_old(is.ftLastWriteTime);
    if (!same) file_is(w, 1, mark);
}

static void look_at_registry(Watch *w)
{
    HKEY key;
    int there = 0;
    if (!RegOpenKeyExW(w->hive, w->first, 0, KEY_QUERY_VALUE | KEY_WOW64_64KEY, &key)) {
        there = w->kind == 'k' || !RegQueryValueExW(key, w->second, NULL, NULL, NULL, NULL);
        RegCloseKey(key);
    }
    if (w->known && there == w->there) return;
    int first = !w->known;
    w->known = 1;
    w->there = there;
    say(w, first);
}

static void look_once(void)
{
    EnterCriticalSection(&looking);
    for (LONG i = 0; i < count; i++)
        if (watches[i].kind == 'f') look_at_file(watches + i);
        else look_at_registry(watches + i);
    LeaveCriticalSection(&looking);
}

static DWORD WINAPI look(void *unused)
{
    (void)unused;
    for (;;) {
        look_once();
        Sleep(LOOK_MS);
    }
}

static void answer(const char *number)
{
    Text t = {0};
    look_once();
    text_add(&t, "{\"reply\":\"%s\"}", number);
    rr_say(&t);
}

static HKEY hive_of(const char *name) { return strcmp(name, "HKCU") ? HKEY_LOCAL_MACHINE : HKEY_CURRENT_USER; }

static void add(char *rest)
{
    if (count == MOST) return;
    Watch *w = watches + count;
    memset(w, 0, sizeof *w);
    w->number = atoi(rr_field(&rest));
    w->kind = *rr_field(&rest);
    if (w->kind == 'f') {
        wchar_t *raw = wide_of(rr_field(&rest)), full[MAX_PATH * 2];
        ExpandEnvironmentStringsW(raw, full, MAX_PATH * 2);
        free(raw);
        w->first = _wcsdup(full);
        w->marker = _strdup(rr_field(&rest));
    } else {
        w->hive = hive_of(rr_field(&rest));
        w->first = wide_of(rr_field(&rest));
        w->second = wide_of(rr_field(&rest));
    }
    InterlockedIncrement(&count);
}

int WINAPI wWinMain(HINSTANCE self, HINSTANCE before, wchar_t *line, int show)
{
    char *heard;
    (void)self; (void)before; (void)line; (void)show;
    rr_take_line();
    InitializeCriticalSection(&looking);
    CreateThread(NULL, 0, look, NULL, 0, NULL);
    while ((heard = rr_hear())) {
        char *rest = heard, *verb = rr_field(&rest);
        if (!strcmp(verb, "watch")) add(rest);
        else if (!strcmp(verb, "look")) answer(rr_field(&rest));
        free(heard);
    }
    return 0;
}
