/* What the way back needs: the enrolment (stays), the pass and the Run entry (go with the trip), the boot's mark. */
#include "tideway.h"
#include <bcrypt.h>
#include <shlobj.h>
#include <wincrypt.h>
#include <stdarg.h>

#define PRODUCT L"SOFTWARE\\Tideway"
#define RUN L"Software\\Microsoft\\Windows\\CurrentVersion\\Run"
#define ENTRY L"TidewayReturn"
#define REPLACE_TRIES 40
#define REPLACE_AGAIN_MS 25
#define BOOT L"Software\\TidewayBoot" /* volatile: Windows forgets it with the boot */

static void place(int folder, const wchar_t *name, wchar_t *path)
{
    SHGetFolderPathW(NULL, folder | CSIDL_FLAG_CREATE, NULL, 0, path);
    wcscat(path, L"\\Tideway");
    CreateDirectoryW(path, NULL);
    wcscat(path, name);
}

void way_log(const char *form, ...)
{
    wchar_t path[MAX_PATH];
    SYSTEMTIME now;
    va_list rest;
    place(CSIDL_COMMON_APPDATA, L"\\tideway.log", path);
    FILE *log = _wfopen(path, L"a");
    if (!log) return;
    GetSystemTime(&now);
    fprintf(log, "%02d:%02d:%02d.%03d ", now.wHour, now.wMinute, now.wSecond, now.wMilliseconds);
    va_start(rest, form);
    vfprintf(log, form, rest);
    va_end(rest);
    fputc('\n', log);
    fclose(log);
}

/* ---- files that only their owner can read ---- */

static BOOL write_sealed(const wchar_t *path, const void *data, DWORD size)
{
    DATA_BLOB in = {size, (BYTE *)data}, out = {0};
    wchar_t fresh[MAX_PATH];
    DWORD done = 0;
    if (!CryptProtectData(&in, L"Tideway", NULL, NULL, NULL, CRYPTPROTECT_UI_FORBIDDEN, &out)) return FALSE;
    swprintf(fresh, MAX_PATH, L"%ls.new", path);
    HANDLE file = CreateFileW(fresh, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_FLAG_WRITE_THROUGH, NULL);
    BOOL ok = file != INVALID_HANDLE_VALUE && WriteFile(file, out.pbData, out.cbData, &done, NULL) && done == out.cbData;
    if (file != INVALID_HANDLE_VALUE) { FlushFileBuffers(file); CloseHandle(file); }
    LocalFree(out.pbData);
    /* Somebody who looks at the old file, such as a virus scanner, keeps it from being replaced for a moment. */
    for (int left = REPLACE_TRIES; ok && !MoveFileExW(fresh, path, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH); left--) {
        ok = left > 0;
        if (ok) Sleep(REPLACE_AGAIN_MS);
    }
    if (!ok) DeleteFileW(fresh);
    return ok;
}

static DWORD read_sealed(const wchar_t *path, void *data, DWORD room)
{
    BYTE raw[4096];
    DWORD size = 0;
    DATA_BLOB out = {0};
    HANDLE file = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) return 0;
    BOOL ok = ReadFile(file, raw, sizeof raw, &size, NULL);
    CloseHandle(file);
    DATA_BLOB in = {size, raw};
    if (!ok || !size || !CryptUnprotectData(&in, NULL, NULL, NULL, NULL, CRYPTPROTECT_UI_FORBIDDEN, &out)) return 0;
    size = out.cbData < room ? out.cbData : room;
    memcpy(data, out.pbData, size);
    SecureZeroMemory(out.pbData, out.cbData);
    LocalFree(out.pbData);
    return size;
}

/* ---- enrolment ---- */

int way_enrol(const wchar_t *ini)
{
    wchar_t key[HEX_CHARS + 8] = L"", host[WORD_CHARS] = L"", path[MAX_PATH], pc[40];
    BYTE bytes[KEY_BYTES], mark[16];
    unsigned value;
    HKEY product;
    DWORD port = GetPrivateProfileIntW(L"server", L"port", 0, ini);
    GetPrivateProfileStringW(L"server", L"host", L"", host, WORD_CHARS, ini);
    GetPrivateProfileStringW(L"server", L"key", L"", key, HEX_CHARS + 8, ini);
    if (!port || !*host || wcslen(key) != KEY_BYTES * 2) return 2;
    for (int i = 0; i < KEY_BYTES; i++) {
        if (swscanf(key + 2 * i, L"%2x", &value) != 1) return 2;
        bytes[i] = (BYTE)value;
    }
    SecureZeroMemory(key, sizeof key);
    BCryptGenRandom(NULL, mark, sizeof mark, BCRYPT_USE_SYSTEM_PREFERRED_RNG);
    for (int i = 0; i < 16; i++) swprintf(pc + 2 * i, 40 - 2 * i, L"%02x", mark[i]);
    if (RegCreateKeyExW(HKEY_LOCAL_MACHINE, PRODUCT, 0, NULL, 0, KEY_WRITE, NULL, &product, NULL)) return 3;
    RegSetValueExW(product, L"Host", 0, REG_SZ, (BYTE *)host, (DWORD)(wcslen(host) + 1) * sizeof *host);
    RegSetValueExW(product, L"Port", 0, REG_DWORD, (BYTE *)&port, sizeof port);
    RegSetValueExW(product, L"Pc", 0, REG_SZ, (BYTE *)pc, (DWORD)(wcslen(pc) + 1) * sizeof *pc);
    RegCloseKey(product);
    place(CSIDL_COMMON_APPDATA, L"\\enrolment.bin", path);
    BOOL ok = write_sealed(path, bytes, sizeof bytes);
    SecureZeroMemory(bytes, sizeof bytes);
    return ok ? 0 : 4;
}

static void product_text(HKEY product, const wchar_t *name, char *out)
{
    wchar_t text[WORD_CHARS] = L"";
    DWORD size = sizeof text - sizeof *text;
    RegQueryValueExW(product, name, NULL, NULL, (BYTE *)text, &size);
    WideCharToMultiByte(CP_UTF8, 0, text, -1, out, WORD_CHARS, NULL, NULL);
}

BOOL way_enrolment(Enrolment *found)
{
    wchar_t path[MAX_PATH];
    HKEY product;
    DWORD size = sizeof found->port;
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, PRODUCT, 0, KEY_READ, &product)) return FALSE;
    product_text(product, L"Host", found->host);
    product_text(product, L"Pc", found->pc);
    RegQueryValueExW(product, L"Port", NULL, NULL, (BYTE *)&found->port, &size);
    RegCloseKey(product);
    place(CSIDL_COMMON_APPDATA, L"\\enrolment.bin", path);
    return read_sealed(path, found->key, sizeof found->key) == sizeof found->key;
}

/* ---- the way back ---- */

static void pass_path(wchar_t *path) { place(CSIDL_APPDATA, L"\\pass.bin", path); }

BOOL way_save(const Way *way)
{
    wchar_t path[MAX_PATH];
    char text[1024];
    pass_path(path);
    int size = snprintf(text, sizeof text, "pass name=%s trip=%d going=%d boot=%s retry=%d away=%d pass=%s", way->name,
                        way->trip, way->going, way->boot, way->retry_ms, way->away_ms, way->pass);
    BOOL ok = write_sealed(path, text, (DWORD)size + 1);
    SecureZeroMemory(text, sizeof text);
    return ok;
}

BOOL way_load(Way *way)
{
    wchar_t path[MAX_PATH];
    char text[1024];
    pass_path(path);
    if (!read_sealed(path, text, sizeof text)) return FALSE;
    text[sizeof text - 1] = 0;
    wire_value(text, "name", way->name, sizeof way->name);
    wire_value(text, "pass", way->pass, sizeof way->pass);
    wire_value(text, "boot", way->boot, sizeof way->boot);
    way->trip = wire_number(text, "trip");
    way->going = wire_number(text, "going");
    way->retry_ms = wire_number(text, "retry");
    way->away_ms = wire_number(text, "away");
    SecureZeroMemory(text, sizeof text);
    return TRUE;
}

BOOL way_arm(void)
{
    wchar_t command[MAX_PATH + 16], program[MAX_PATH], read[MAX_PATH + 16];
    HKEY run;
    DWORD size = sizeof read;
    GetModuleFileNameW(NULL, program, MAX_PATH);
    swprintf(command, MAX_PATH + 16, L"\"%ls\" /return", program);
    if (RegCreateKeyExW(HKEY_CURRENT_USER, RUN, 0, NULL, 0, KEY_READ | KEY_WRITE, NULL, &run, NULL)) return FALSE;
    BOOL ok = !RegSetValueExW(run, ENTRY, 0, REG_SZ, (BYTE *)command, (DWORD)(wcslen(command) + 1) * sizeof *command)
           && !RegQueryValueExW(run, ENTRY, NULL, NULL, (BYTE *)read, &size) && !wcscmp(command, read)
           && !RegFlushKey(run);
    RegCloseKey(run);
    return ok;
}

BOOL way_clear(void)
{
    wchar_t path[MAX_PATH];
    HKEY run;
    if (!RegOpenKeyExW(HKEY_CURRENT_USER, RUN, 0, KEY_WRITE, &run)) {
        RegDeleteValueW(run, ENTRY);
        RegCloseKey(run);
    }
    pass_path(path);
    BOOL gone = FALSE;
    for (int left = REPLACE_TRIES; !gone && left > 0; left--) {
        if (left < REPLACE_TRIES) Sleep(REPLACE_AGAIN_MS);
        DeleteFileW(path);
        gone = GetFileAttributesW(path) == INVALID_FILE_ATTRIBUTES;
    }
    *wcsrchr(path, L'\\') = 0;
    RemoveDirectoryW(path);
    return gone;
}

void way_boot(char *mark)
{
    HKEY key;
    DWORD made, size = 33;
    BYTE bytes[16];
    if (RegCreateKeyExW(HKEY_CURRENT_USER, BOOT, 0, NULL, REG_OPTION_VOLATILE, KEY_READ | KEY_WRITE, NULL, &key, &made)) {
        *mark = 0;
        return;
    }
    if (RegQueryValueExA(key, "Mark", NULL, NULL, (BYTE *)mark, &size)) {
        BCryptGenRandom(NULL, bytes, sizeof bytes, BCRYPT_USE_SYSTEM_PREFERRED_RNG);
        for (int i = 0; i < 16; i++) sprintf(mark + 2 * i, "%02x", bytes[i]);
        RegSetValueExA(key, "Mark", 0, REG_SZ, (BYTE *)mark, 33);
    }
    RegCloseKey(key);
}

/* Only a pass needs the mark: without one it is rubbish of ours, even if Windows would forget it with the boot. */
void way_forget_boot(void) { RegDeleteKeyW(HKEY_CURRENT_USER, BOOT); }

/* ---- Windows ---- */

static void take_privilege(void)
{
    HANDLE token;
    TOKEN_PRIVILEGES wanted = {.PrivilegeCount = 1};
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &token)) return;
    LookupPrivilegeValueW(NULL, SE_SHUTDOWN_NAME, &wanted.Privileges[0].Luid);
    wanted.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
    AdjustTokenPrivileges(token, FALSE, &wanted, 0, NULL, NULL);
    CloseHandle(token);
}

DWORD way_restart(BOOL force)
{
    take_privilege();
    if (InitiateSystemShutdownExW(NULL, (wchar_t *)L"Tideway Support restarts this computer.", 0, force, TRUE,
                                  SHTDN_REASON_MAJOR_APPLICATION | SHTDN_REASON_MINOR_MAINTENANCE | SHTDN_REASON_FLAG_PLANNED))
        return 0;
    DWORD error = GetLastError();
    return error ? error : ERROR_GEN_FAILURE;
}

void way_stop_restart(void)
{
    take_privilege();
    AbortSystemShutdownW(NULL);
}
