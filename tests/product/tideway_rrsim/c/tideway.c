/* What the program decides. Everything happens in one thread, in the hub's window procedure.
 *
 *     tideway.exe             the guest starts it and types the code
 *     tideway.exe /return     the Run entry starts it after a restart
 *     tideway.exe /enrol INI  the installer enrols this PC; the file with the key is removed by whoever wrote it
 */
#include "tideway.h"
#include <shellapi.h>

#define MOST_LINES 64
#define NOTE_MS 1500
#define FIRST_TRY_MS 500
#define ENTER_LIMIT_MS 60000
#define GREETING_MS 5000

enum { T_PING = 1, T_QUIET, T_RETRY, T_AWAY, T_LIMIT };
typedef enum { ENTERING, RETURNING, INSIDE, OVER } Where;

HWND hub;
static Where at;
static Enrolment enrolled;
static Way way;
static char code[WORD_CHARS], live[HEX_CHARS], boot[WORD_CHARS], user[WORD_CHARS];
static char *lines[MOST_LINES];
static int said, limit_ms, ping_ms, quiet_ms, prompt_ms, retry_max_ms, retry_ms, restart_force;
static BOOL away, requested;

static void over(const char *text)
{
    if (at == OVER) return;
    at = OVER;
    way_log("over: %s", text);
    if (way_clear()) way_forget_boot();
    wire_hang_up();
    for (int timer = T_PING; timer <= T_LIMIT; timer++) KillTimer(hub, timer);
    if (*text) desk_note(text, NOTE_MS);
    else PostQuitMessage(0);
}

static void dial(void)
{
    SetTimer(hub, T_QUIET, quiet_ms ? quiet_ms : GREETING_MS, NULL);
    wire_dial(enrolled.host, enrolled.port);
}

/* ---- the trip ---- */

static void no_trip(void)
{
    way.trip = way.going = 0;
    requested = FALSE;
    KillTimer(hub, T_LIMIT);
    way_clear();
    desk_open();
}

static void not_ready(int trip, const char *step, const char *why)
{
    char text[256];
    no_trip();
    wire_escape(why, text, sizeof text);
    way_log("not ready: %s: %s", step, why);
    wire_say("NOTREADY trip=%d step=%s why=%s", trip, step, text);
}

static void go(const char *words)
{
    char salt[WORD_CHARS], text[512], why[128];
    int trip = wire_number(words, "trip");
    wire_value(words, "salt", salt, sizeof salt);
    snprintf(text, sizeof text, "pass|%s|%d|%s", way.name, trip, salt);
    wire_code(text, way.pass);
    way.trip = trip;
    way.going = 0;
    strcpy(way.boot, boot);
    restart_force = wire_number(words, "force");
    desk_drop(ASK_RESTART);
    if (!*boot) { not_ready(trip, "boot", "this boot has no mark"); return; }
    if (!way_save(&way)) { not_ready(trip, "pass", "the pass cannot be written"); return; }
    if (!way_arm()) { not_ready(trip, "entry", "the Run entry cannot be written"); return; }
    wire_say("READY trip=%d", trip);
    way.going = 1;
    if (!way_save(&way)) { not_ready(trip, "pass", "the pass cannot be written"); return; }
    DWORD error = way_restart(restart_force);
    way_log("restart of trip %d: %lu", trip, error);
    if (error) {
        snprintf(why, sizeof why, error == ERROR_ACCESS_DENIED ? "access denied, error %lu" : "Windows says error %lu", error);
        not_ready(trip, "restart", why);
        return;
    }
    requested = TRUE;
    SetTimer(hub, T_LIMIT, limit_ms, NULL);
}

static void stays(const char *why)
{
    char text[256];
    int trip = way.trip;
    if (!trip) return;
    no_trip();
    wire_escape(why, text, sizeof text);
    wire_say("STAYING trip=%d why=%s", trip, text);
}

/* ---- what the server says ---- */

static void say_line(int number)
{
    char text[LINE_CHARS / 2];
    wire_escape(lines[(number - 1) % MOST_LINES], text, sizeof text);
    wire_say("SAY n=%d text=%s", number, text);
}

static void inside(const char *words)
{
    char salt[WORD_CHARS], text[512];
    BOOL back = at == INSIDE;
    int known = wire_number(words, "lines");
    wire_value(words, "case", way.name, sizeof way.name);
    wire_value(words, "salt", salt, sizeof salt);
    snprintf(text, sizeof text, "live|%s|%s", way.name, salt);
    wire_code(text, live);
    ping_ms = wire_number(words, "ping");
    quiet_ms = wire_number(words, "quiet");
    prompt_ms = wire_number(words, "prompt");
    limit_ms = wire_number(words, "limit");
    way.retry_ms = retry_ms = wire_number(words, "retry");
    retry_max_ms = wire_number(words, "retrymax");
    way.away_ms = wire_number(words, "away");
    if (!back) {
        way_clear(); /* the pass is spent */
        way.trip = 0;
    } else if (way.trip && wire_number(words, "trip") != way.trip) {
        way_stop_restart();
        no_trip();
    }
    way_log("inside, %s", back ? "reconnected" : at == RETURNING ? "returned" : "entered");
    at = INSIDE;
    away = FALSE;
    KillTimer(hub, T_AWAY);
    SetTimer(hub, T_PING, ping_ms, NULL);
    SetTimer(hub, T_QUIET, quiet_ms, NULL);
    if (!requested) desk_open();
    for (int number = known + 1; number <= said; number++) say_line(number);
}

static void on_words(const char *words)
{
    char verb[16] = "", one[LINE_CHARS / 2], two[WORD_CHARS];
    sscanf(words, "%15s", verb);
    if (quiet_ms) SetTimer(hub, T_QUIET, quiet_ms, NULL);
    if (!strcmp(verb, "IN")) inside(words);
    else if (!strcmp(verb, "NO")) {
        wire_value(words, "why", one, sizeof one);
        over(at == RETURNING ? "The support case is over. Please ask for support again." : one);
    } else if (!strcmp(verb, "OVER")) over("The support case is over.");
    else if (at != INSIDE) return;
    else if (!strcmp(verb, "ASK")) {
        wire_value(words, "about", one, sizeof one);
        desk_ask(strcmp(one, "screen") ? ASK_RESTART : ASK_SCREEN, wire_number(words, "q"), wire_number(words, "ms"));
    } else if (!strcmp(verb, "GO")) go(words);
    else if (!strcmp(verb, "STAY") && wire_number(words, "trip") == way.trip && way.trip) {
        if (requested) way_stop_restart();
        no_trip();
    } else if (!strcmp(verb, "DROP")) {
        desk_drop(ASK_RESTART);
        desk_drop(ASK_SCREEN);
    } else if (!strcmp(verb, "SAID")) {
        wire_value(words, "text", one, sizeof one);
        wire_value(words, "who", two, sizeof two);
        desk_line(two, one);
    } else if (!strcmp(verb, "SCREEN")) desk_screen(wire_number(words, "on"));
}

static void greeted(void)
{
    char text[256], proof[HEX_CHARS];
    if (at == ENTERING) {
        wire_escape(code, text, sizeof text);
        wire_say("ENTER code=%s boot=%s user=%s pc=%s", text, boot, user, enrolled.pc);
        return;
    }
    wire_code_with(at == RETURNING ? way.pass : live, wire_nonce(), proof);
    if (at == RETURNING)
        wire_say("RETURN case=%s trip=%d boot=%s user=%s pc=%s proof=%s", way.name, way.trip, boot, user, enrolled.pc, proof);
    else if (at == INSIDE)
        wire_say("BACK case=%s trip=%d boot=%s pc=%s proof=%s", way.name, requested ? way.trip : 0, boot, enrolled.pc, proof);
}

static void gone(void)
{
    wire_hang_up();
    if (at == OVER) return;
    KillTimer(hub, T_PING);
    KillTimer(hub, T_QUIET);
    if (!away) {
        away = TRUE;
        SetTimer(hub, T_AWAY, at == ENTERING ? ENTER_LIMIT_MS : way.away_ms, NULL);
    }
    SetTimer(hub, T_RETRY, retry_ms, NULL);
    retry_ms = retry_ms * 2 < retry_max_ms ? retry_ms * 2 : retry_max_ms;
}

/* ---- what the guest does ---- */

static void answered(int about, int what, int number)
{
    static const char *const WORDS[] = {"", "yes", "no", "silence"};
    if (about != ASK_STAY) {
        wire_say("ANSWER q=%d is=%s human=%d", number, WORDS[what], what != ANSWER_SILENCE);
    } else if (what == ANSWER_NO) { /* the guest leaves; a restart that Windows has begun goes on */
        way_clear();
        wire_say("BYE");
        over("");
    }
}

static void speak(char *text)
{
    int slot = said % MOST_LINES;
    free(lines[slot]);
    lines[slot] = text;
    desk_line("You", text);
    say_line(++said);
}

/* ---- the hub ---- */

static void on_timer(int timer)
{
    if (timer == T_PING) { wire_say("PING"); return; }
    KillTimer(hub, timer);
    if (timer == T_QUIET) { way_log("the server is silent"); gone(); }
    else if (timer == T_RETRY) dial();
    else if (timer == T_AWAY) over("The support case could not be reached. Please ask for support again.");
    else if (timer == T_LIMIT) { way_stop_restart(); stays("restart limit"); }
}

static LRESULT CALLBACK on_hub(HWND window, UINT message, WPARAM w, LPARAM l)
{
    char *words = NULL;
    BOOL known;
    switch (message) {
    case HUB_LINE:
        known = wire_greeted();
        if (wire_take(w, (char *)l, &words)) on_words(words);
        else if (!known && wire_greeted()) greeted();
        free((void *)l);
        return 0;
    case HUB_GONE: if (wire_is_call(w)) gone(); return 0;
    case HUB_ANSWER: answered(LOWORD(w), HIWORD(w), (int)l); return 0;
    case HUB_SAY: if (at == INSIDE) speak((char *)l); else free((void *)l); return 0;
    case HUB_CLOSE: desk_ask(ASK_STAY, 0, prompt_ms ? prompt_ms : ENTER_LIMIT_MS); return 0;
    case WM_TIMER: on_timer((int)w); return 0;
    case WM_QUERYENDSESSION: return TRUE;
    case WM_ENDSESSION:
        way_log("end of the Windows session: %d, trip %d", (int)w, way.trip);
        if (!w) { stays("Windows did not restart"); return 0; }
        if (at == INSIDE && way.trip) wire_say("SINKING trip=%d", way.trip);
        desk_close(); /* only now: until here the guest can still leave */
        wire_hang_up();
        ExitProcess(0);
    }
    return DefWindowProcW(window, message, w, l);
}

int WINAPI wWinMain(HINSTANCE self, HINSTANCE before, wchar_t *command, int show)
{
    int count;
    wchar_t **words = CommandLineToArgvW(GetCommandLineW(), &count);
    WNDCLASSW is = {.lpfnWndProc = on_hub, .lpszClassName = L"TidewayHub"};
    WSADATA net;
    MSG message;
    (void)self; (void)before; (void)command; (void)show;
    if (count == 3 && !wcscmp(words[1], L"/enrol")) return way_enrol(words[2]);
    if (!way_enrolment(&enrolled)) {
        MessageBoxW(NULL, L"Tideway Support is not enrolled. Please install it again.", L"Tideway Support", MB_OK);
        return 2;
    }
    WSAStartup(MAKEWORD(2, 2), &net);
    wire_key(enrolled.key);
    way_boot(boot);
    DWORD room = sizeof user;
    GetUserNameA(user, &room);
    retry_ms = retry_max_ms = FIRST_TRY_MS;
    if (count == 2 && !wcscmp(words[1], L"/return")) {
        at = RETURNING;
        BOOL there = way_load(&way);
        if (!there || !way.going || !strcmp(way.boot, boot)) { /* nothing to return to, or no new boot */
            if (way_clear()) way_forget_boot();
            return 0;
        }
        retry_ms = way.retry_ms;
        retry_max_ms = way.retry_ms * 8;
    } else {
        at = ENTERING;
        way_clear();
        if (!desk_code(code, sizeof code)) {
            way_forget_boot();
            return 0;
        }
    }
    RegisterClassW(&is);
    hub = CreateWindowExW(0, L"TidewayHub", L"", WS_OVERLAPPED, 0, 0, 0, 0, NULL, NULL, NULL, NULL);
    if (at == RETURNING) {
        away = TRUE;
        SetTimer(hub, T_AWAY, way.away_ms, NULL);
    }
    dial();
    while (GetMessageW(&message, NULL, 0, 0) > 0) {
        TranslateMessage(&message);
        DispatchMessageW(&message);
    }
    if (way_clear()) way_forget_boot();
    return 0;
}
