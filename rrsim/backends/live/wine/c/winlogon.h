/* The parts of the sign-in helper: the line to the supervisor, the customer's session, services, and the power. */
#ifndef WINLOGON_H
#define WINLOGON_H

#include "rr.h"

extern volatile LONG signed_in; /* whether the customer is signed in */

/* session.c */
void session_log_on(const char *number);
void session_log_off(void);                     /* ends the customer's programs; windows have been asked before */
DWORD session_start(wchar_t *command, DWORD *pid); /* an error code */
void session_run(const char *number, DWORD limit_ms, const char *output, const char *command); /* replies when it ended */
BOOL safe_mode(void);

/* registry.c */
void registry_say(const char *number); /* replies with the names of what a session could leave in the registry */
void registry_watch(void);             /* says whether file operations wait for the next boot, at once and when it changes */

/* hives.c */
DWORD hive_to_disk(const wchar_t *hive); /* "machine" or "user"; an error code */

/* services.c */
void services_serve(void);
void services_tell(DWORD code, DWORD detail, DWORD limit_ms); /* returns when all have answered, at the latest then */
#define SESSION_LOGON 5
#define SESSION_LOGOFF 6

/* power.c */
void power_serve(void);
void power_word(const char *word); /* "anyway" or "cancel" while an application blocks */
void power_refuse(DWORD code);     /* the next requests are answered with this error; 0 takes it back */
void power_begin(const char *how, BOOL force); /* the power button: "restart", "off" or "log off" */

#endif
