/* Tideway Support: the customer's program of a second, small remote-support product.
 *
 * It exists to show that rrsim tests any product through two adapters. It has its own words: a support session is a
 * *case*, the customer a *guest*, the representative a *technician*, a restart that ends in the same case a *trip*.
 *
 * wire.c talks to the server, way.c keeps what the way back needs, desk.c is what the guest sees, tideway.c decides.
 */
#ifndef TIDEWAY_H
#define TIDEWAY_H
#define _WIN32_WINNT 0x0601
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 32
#define HEX_CHARS (KEY_BYTES * 2 + 1)
#define WORD_CHARS 128
#define LINE_CHARS 4096

/* Messages to the hub, the hidden window in which everything is decided. */
enum { HUB_LINE = WM_APP, HUB_GONE, HUB_ANSWER, HUB_SAY, HUB_CLOSE };

/* What a question to the guest is about; the number is also the order of the titles in desk.c. */
enum { ASK_RESTART = 1, ASK_SCREEN = 2, ASK_STAY = 3 };
enum { ANSWER_YES = 1, ANSWER_NO = 2, ANSWER_SILENCE = 3 };

extern HWND hub;

/* wire.c: one connection at a time; every line carries a code that only holders of the enrolment key can make. */
void wire_key(const BYTE *key);
void wire_code(const char *text, char *hex);                            /* with the enrolment key */
void wire_code_with(const char *key_hex, const char *text, char *hex);  /* with another key */
void wire_dial(const char *host, int port);
void wire_hang_up(void);
BOOL wire_take(WPARAM call, char *line, char **words); /* FALSE: not for us, or a greeting */
BOOL wire_greeted(void);
BOOL wire_is_call(WPARAM call); /* whether this is the present connection */
const char *wire_nonce(void);
void wire_say(const char *form, ...);
void wire_escape(const char *text, char *out, size_t room);
BOOL wire_value(const char *words, const char *name, char *out, size_t room);
int wire_number(const char *words, const char *name);

/* way.c: what must survive the restart, and nothing that must survive the case. */
typedef struct {
    char host[WORD_CHARS], pc[WORD_CHARS];
    int port;
    BYTE key[KEY_BYTES];
} Enrolment;
typedef struct {
    char name[WORD_CHARS], pass[HEX_CHARS], boot[WORD_CHARS];
    int trip, going, retry_ms, away_ms;
} Way;
int way_enrol(const wchar_t *ini);
BOOL way_enrolment(Enrolment *found);
BOOL way_save(const Way *way);
BOOL way_load(Way *way);
BOOL way_arm(void);
BOOL way_clear(void);
void way_boot(char *mark);
void way_forget_boot(void);
DWORD way_restart(BOOL force);
void way_stop_restart(void);
void way_log(const char *form, ...);

/* desk.c */
BOOL desk_code(char *code, size_t room);
void desk_open(void);
void desk_close(void);
void desk_line(const char *who, const char *text);
void desk_screen(BOOL shared);
void desk_ask(int about, int number, int limit_ms);
void desk_drop(int about);
void desk_note(const char *text, int limit_ms);
#endif
