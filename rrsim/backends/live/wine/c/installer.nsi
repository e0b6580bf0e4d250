; A real installer that needs a restart: it replaces a file that is in use, so Windows has work to do at the next boot.
; On its last page the customer chooses to restart now or later. With /S it asks nobody and restarts by itself, unless
; /NOREBOOT is given too. While its window is open no unforced restart passes: every NSIS wizard answers
; WM_QUERYENDSESSION with FALSE.
Target amd64-unicode
Name "Example Printer Driver"
OutFile "installer.exe"
InstallDir "$PROGRAMFILES64\Example Printer Driver"
RequestExecutionLevel admin
AutoCloseWindow true
SetCompressor lzma

!include MUI2.nsh
!include FileFunc.nsh
!define MUI_FINISHPAGE_TITLE "Example Printer Driver is installed"
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_LANGUAGE "English"

Section "Driver"
  SetOutPath "$INSTDIR"
  File /oname=driver.txt "installer.nsi"
  ; An open handle without sharing for deletion is a file in use.
  FileOpen $0 "$INSTDIR\old-driver.txt" w
  FileWrite $0 "the driver that is replaced"
  Delete /REBOOTOK "$INSTDIR\old-driver.txt"
  FileClose $0
  SetRebootFlag true
SectionEnd

Function .onInstSuccess
  IfSilent 0 done
  ${GetParameters} $R0
  ClearErrors
  ${GetOptions} $R0 "/NOREBOOT" $R1
  IfErrors 0 done
  Reboot
done:
FunctionEnd
