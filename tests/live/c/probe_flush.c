/* Sets a value in each hive and asks Windows to have it on the disk; its exit code is the first error. */
#include <windows.h>

static DWORD set_and_flush(HKEY hive)
{
    static const char word[] = "on disk";
    HKEY key;
    DWORD code = RegCreateKeyExA(hive, "Software\\rrsim probe", 0, NULL, 0, KEY_ALL_ACCESS, NULL, &key, NULL);
    if (!code) code = RegSetValueExA(key, "Flushed", 0, REG_SZ, (const BYTE *)word, sizeof word);
    return code ? code : RegFlushKey(key);
}

int main(void)
{
    DWORD code = set_and_flush(HKEY_LOCAL_MACHINE);
    return (int)(code ? code : set_and_flush(HKEY_CURRENT_USER));
}
