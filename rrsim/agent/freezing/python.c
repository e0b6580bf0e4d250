/* python.exe of the assembled runtime: hands its command line to the CPython in python311.dll beside it. */
#include <stdio.h>
#include <windows.h>

int wmain(int argc, wchar_t **argv) {
    HMODULE python = LoadLibraryW(L"python311.dll");
    int (*run)(int, wchar_t **) = python ? (int (*)(int, wchar_t **))(void *)GetProcAddress(python, "Py_Main") : NULL;
    if (run == NULL) {
        fprintf(stderr, "expected: python311.dll beside python.exe\n     saw: error %lu\n", GetLastError());
        return 70;
    }
    return run(argc, argv);
}
