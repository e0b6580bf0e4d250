/* The line to the server: TCP, one line a message, in text.
 *
 *     <code> VERB name=value name=value
 *
 * The code is an HMAC over direction, the server's greeting nonce, a count and the line, with the key this installation
 * was enrolled with. So both ends know each other and no line can be repeated, left out or changed. Nothing is
 * encrypted: this is a product for tests, and its server listens on loopback only.
 */
#include "tideway.h"
#include <bcrypt.h>
#include <stdarg.h>

#define CODE_CHARS 32
#define SEND_LIMIT_MS 2000

static BYTE enrolment[KEY_BYTES];
static SOCKET line = INVALID_SOCKET;
static volatile LONG call; /* number of the present connection: what an earlier one still says is not heard */
static char nonce[WORD_CHARS];
static unsigned sent, heard;

typedef struct { char host[WORD_CHARS]; int port; LONG call; SOCKET socket; } Dial;

static void hmac(const BYTE *key, ULONG size, const char *text, char *hex)
{
    BCRYPT_ALG_HANDLE algorithm;
    BCRYPT_HASH_HANDLE hash;
    BYTE out[32];
    BCryptOpenAlgorithmProvider(&algorithm, BCRYPT_SHA256_ALGORITHM, NULL, BCRYPT_ALG_HANDLE_HMAC_FLAG);
    BCryptCreateHash(algorithm, &hash, NULL, 0, (BYTE *)key, size, 0);
    BCryptHashData(hash, (BYTE *)text, (ULONG)strlen(text), 0);
    BCryptFinishHash(hash, out, sizeof out, 0);
    BCryptDestroyHash(hash);
    BCryptCloseAlgorithmProvider(algorithm, 0);
    for (int i = 0; i < 32; i++) sprintf(hex + 2 * i, "%02x", out[i]);
}

void wire_key(const BYTE *key) { memcpy(enrolment, key, sizeof enrolment); }
void wire_code(const char *text, char *hex) { hmac(enrolment, sizeof enrolment, text, hex); }
void wire_code_with(const char *key, const char *text, char *hex) { hmac((const BYTE *)key, (ULONG)strlen(key), text, hex); }
const char *wire_nonce(void) { return nonce; }
BOOL wire_greeted(void) { return *nonce != 0; }

static void code_of(char direction, unsigned count, const char *text, char *hex)
{
    char all[LINE_CHARS + WORD_CHARS + 32];
    snprintf(all, sizeof all, "%c|%s|%u|%s", direction, nonce, count, text);
    wire_code(all, hex);
    hex[CODE_CHARS] = 0;
}

static SOCKET reach(const char *host, int port)
{
    char number[16];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    snprintf(number, sizeof number, "%d", port);
    if (getaddrinfo(host, number, &hints, &found)) return INVALID_SOCKET;
    SOCKET made = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    DWORD limit_ms = SEND_LIMIT_MS, yes = 1;
    setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, (char *)&limit_ms, sizeof limit_ms);
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, (char *)&yes, sizeof yes);
    if (made != INVALID_SOCKET && connect(made, found->ai_addr, (int)found->ai_addrlen)) {
        closesocket(made);
        made = INVALID_SOCKET;
    }
    freeaddrinfo(found);
    return made;
}

static DWORD WINAPI listen_to(void *given)
{
    Dial *dial = given;
    char text[LINE_CHARS];
    size_t used = 0;
    SOCKET made = reach(dial->host, dial->port);
    if (made != INVALID_SOCKET && dial->call == call) {
        line = made;
        for (;;) {
            int got = recv(made, text + used, (int)(sizeof text - 1 - used), 0);
            if (got <= 0) break;
            used += got;
            for (char *end; (end = memchr(text, '\n', used)) != NULL;) {
                size_t size = end - text;
                *end = 0;
                PostMessageW(hub, HUB_LINE, dial->call, (LPARAM)strdup(text));
                used -= size + 1;
                memmove(text, end + 1, used);
            }
            if (used == sizeof text - 1) break; /* no line of ours is as long */
        }
    }
    if (made != INVALID_SOCKET) closesocket(made);
    PostMessageW(hub, HUB_GONE, dial->call, 0);
    free(dial);
    return 0;
}

void wire_dial(const char *host, int port)
{
    wire_hang_up();
    Dial *dial = calloc(1, sizeof *dial);
    strncpy(dial->host, host, sizeof dial->host - 1);
    dial->port = port;
    dial->call = call;
    CloseHandle(CreateThread(NULL, 0, listen_to, dial, 0, NULL));
}

void wire_hang_up(void)
{
    InterlockedIncrement(&call);
    SOCKET old = line;
    line = INVALID_SOCKET;
    *nonce = 0;
    sent = heard = 0;
    if (old != INVALID_SOCKET) shutdown(old, SD_BOTH);
}

BOOL wire_take(WPARAM from, char *text, char **words)
{
    char expected[HEX_CHARS];
    if ((LONG)from != call) return FALSE;
    if (!*nonce) { /* the greeting */
        if (sscanf(text, "TIDEWAY 1 %100s", nonce) != 1) PostMessageW(hub, HUB_GONE, call, 0);
        return FALSE;
    }
    BOOL ours = strlen(text) > CODE_CHARS + 1;
    if (ours) {
        code_of('S', ++heard, text + CODE_CHARS + 1, expected);
        text[CODE_CHARS] = 0;
        ours = !strcmp(text, expected);
    }
    if (!ours) { /* somebody else's server, or a line was touched */
        way_log("a line without the right code");
        PostMessageW(hub, HUB_GONE, call, 0);
        return FALSE;
    }
    *words = text + CODE_CHARS + 1;
    return TRUE;
}

BOOL wire_is_call(WPARAM from) { return (LONG)from == call; }

void wire_say(const char *form, ...)
{
    char text[LINE_CHARS], code[HEX_CHARS], whole[LINE_CHARS + HEX_CHARS + 2];
    va_list rest;
    if (line == INVALID_SOCKET || !*nonce) return;
    va_start(rest, form);
    vsnprintf(text, sizeof text, form, rest);
    va_end(rest);
    code_of('A', ++sent, text, code);
    int size = snprintf(whole, sizeof whole, "%s %s\n", code, text);
    send(line, whole, size, 0);
}

void wire_escape(const char *text, char *out, size_t room)
{
    size_t used = 0;
    for (; *text && used + 4 < room; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c)) out[used++] = c;
        else used += sprintf(out + used, "%%%02X", c);
    }
    out[used] = 0;
}

BOOL wire_value(const char *words, const char *name, char *out, size_t room)
{
    size_t size = strlen(name), used = 0;
    const char *at = words;
    *out = 0;
    while ((at = strchr(at, ' ')) != NULL) {
        at++;
        if (strncmp(at, name, size) || at[size] != '=') continue;
        for (at += size + 1; *at && *at != ' ' && used + 1 < room; at++) {
            unsigned c = (unsigned char)*at;
            if (c == '%' && at[1] && at[2] && sscanf(at + 1, "%2x", &c) == 1) at += 2;
            out[used++] = (char)c;
        }
        out[used] = 0;
        return TRUE;
    }
    return FALSE;
}

int wire_number(const char *words, const char *name)
{
    char text[32];
    return wire_value(words, name, text, sizeof text) ? atoi(text) : 0;
}
