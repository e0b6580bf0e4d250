; The installer of Tideway Support. It takes the server's address and the enrolment key from tideway.ini beside it, so that
; no secret is ever on a command line; /S asks nobody.
Target amd64-unicode
Name "Tideway Support"
OutFile "tideway-setup.exe"
InstallDir "$PROGRAMFILES64\Tideway Support"
RequestExecutionLevel admin
AutoCloseWindow true
SetCompressor lzma
Page instfiles

!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\Tideway Support"

Section "Tideway Support"
  SetRegView 64
  SetOutPath "$INSTDIR"
  File "tideway.exe"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKLM "${UNINSTALL}" "DisplayName" "Tideway Support"
  WriteRegStr HKLM "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  ExecWait '"$INSTDIR\tideway.exe" /enrol "$EXEDIR\tideway.ini"' $0
  Delete "$EXEDIR\tideway.ini"
  SetErrorLevel $0
SectionEnd

Section "Uninstall"
  SetRegView 64
  DeleteRegKey HKLM "${UNINSTALL}"
  DeleteRegKey HKLM "SOFTWARE\Tideway"
  SetShellVarContext all
  RMDir /r "$APPDATA\Tideway"
  RMDir /r "$INSTDIR"
SectionEnd
