/* The protocol of Reboot and Reconnect, by hand and after the requirements, as an oracle for `rrsim search`.
 *
 * Nothing here is generated from the program, and nothing is shared with it. What had to be taken over is only what
 * makes counts comparable (docs/exploration.md): time is erased, so every timer that runs may fire next; what has no
 * duration is not interleaved, so one event with all that follows at the same instant is one d_step; a misfortune costs
 * budget; and when nothing is due any more the harness ends the session and restarts the PC once.
 *
 * Each process is one loop, so that a state is the variables alone: SPIN's counts are then the protocol's. (The wires
 * are processes of their own only so that their code is there once and not for each connection.)
 * Bounds and deliberate bugs come as -D, and so does -DTABLE=1, which writes every transition down (table.pml).
 */

/* --- bounds ------------------------------------------------------------------------------------------------------ */

#ifndef FAULTS
#define FAULTS 0            /* how many misfortunes in all */
#endif
#ifndef LOSSES
#define LOSSES 0            /* 1: a connection may be lost with all that is on its way */
#endif
#ifndef FAILURES
#define FAILURES 0          /* 1: an attempt to connect may fail */
#endif
#ifndef FOREIGN
#define FOREIGN 0           /* 1: the customer may restart from the start menu (rule 3) */
#endif
#ifndef CUTS
#define CUTS 0              /* 1: power cut, crash of the PC, death of the agent (rule 14) */
#endif
#ifndef CANCELS
#define CANCELS 0           /* 1: phone mode, and the customer may cancel the reconnect (R11) */
#endif
#ifndef ASKED_FIRST
#define ASKED_FIRST 0       /* 1: the account asks the customer before the restart (R7) */
#endif
#ifndef MAC
#define MAC 0               /* 1: the customer has a Mac (R10) */
#endif
#ifndef SERVICE
#define SERVICE 0           /* 1: the agent is a service (R2) */
#endif
#ifndef NORMAL
#define NORMAL 1            /* 1: the representative may ask for a normal restart */
#endif
#ifndef SAFE
#define SAFE 0              /* 1: the representative may ask for, or force, safe mode with networking */
#endif

/* --- deliberate bugs, one at a time: -DBUG=n. Each breaks the invariant beside it --------------------------------- */

#ifndef BUG
#define BUG 0               /* `chosen`: the environment's BUG says which, so that one build serves for many */
#endif
#define RESUMES_WHEN_OVER 1 /* I1 */
#define TICKET_TWICE 2      /* I2 */
#define TWO_JOINED 3        /* I3 */
#define NO_IS_YES 4         /* I4 */
#define SILENCE_IS_YES 5    /* I4 */
#define FLAG_STAYS 6        /* I6 */
#define ENTRY_STAYS 7       /* I7 */
#define MAC_RESTARTS 8      /* I8 */
#define WINDOW_FORGOTTEN 9  /* I9 */
#define SAFE_FOR_ALL 10     /* I10 */
#define FOREIGN_RESUMES 11  /* I11 */
#define BACK_IS_RESUMED 12  /* rule 9 */

#ifndef LTL
#define LTL 0               /* 1: no harness, so that nothing but the protocol itself decides a restart */
#endif

#ifndef LINKS
#define LINKS 3             /* connections at most, numbered from 1; one more is an error, never a cut */
#endif
#define QUEUE 7             /* messages on their way in one direction; a longer queue is an error, never a cut */

#include "words.pml"

/* --- the state --------------------------------------------------------------------------------------------------- */

typedef Link {              /* a connection, as long as one end believes in it */
    bool server;            /* the server does; the agent does in the one that is `mine` */
    byte desk;
    chan up = [QUEUE] of { byte };
    chan down = [QUEUE] of { byte };
    bool upEnd;             /* after what is in the queue comes the news that the other end is gone */
    bool downEnd
};
Link link[LINKS + 1];
byte mine = 1;              /* the agent's connection, or 0 */
bool trying;                /* the agent waits for a connection */

/* The session. */
byte life;
bool present = 1;           /* its endpoint is joined ... */
byte conn = 1;              /* ... on this connection */
byte theirBoot = 1;         /* the boot that the endpoint last proved */
bool unheard = !SERVICE;    /* it was let in by ticket or code, and nothing says that it knows */
bool heard = SERVICE;       /* it has said something since, on whatever connection */
byte theirSeat = 2 * SERVICE; /* service mode: 0 unknown, 1 empty, 2 somebody is there */
byte restart;
bool safeOrder;             /* the restart asked for goes into safe mode */
bool window;                /* the resume window runs */
bool tWindow;               /* its timer, which also bounds a loss without an order */
bool tLimit;
bool tConfirm;
bool tAnswer;

/* The agent. */
byte goal = MEMBER;
byte phase = UP;
byte stage;
byte row;                   /* the step of arming under way */
bool safeHere;              /* the order goes into safe mode */
byte report;                /* what the server hears when everything is undone */
bool ending;                /* Windows said that it is going down: no claim follows from this boot */
bool question;              /* the customer is being asked (R7) */
byte kept;                  /* their answer, while the connection is down */
byte doing;                 /* what Windows was asked and has not answered */
bool safeWrite;             /* the record that Windows is writing is that of a safe order */
byte todo;                  /* what is to be undone or tidied next, as a set: the order is fixed */
bool ourKey;                /* what of ours may be left on this PC */
bool ourFlag;
bool seen = SERVICE;        /* service mode: somebody could see a question */
bool tRetry;
bool tAgentLimit;
bool tIdle;
bool tAsk;

/* The PC. */
byte pc;
byte going;
byte cause;
byte boot = 1;
bool safe;                  /* this boot is a safe one */
bool probing;               /* the harness's own restart */
bool tService;              /* Windows is to start the service */
bool tHelper;               /* and the helper on the desktop */
bool helper = SERVICE;
byte record;                /* on the disk, until the end of this block */
byte recordBoot;
bool recordKey;
bool recordFlag;
bool entry;
bool key;
bool flag;
bool undo;                  /* the RunOnce value that clears the flag at an administrator's logon (SM-03) */
bool undoing;

/* What may still be added, and how far the harness is. */
byte asks = 1;
byte faults = FAULTS;
byte harness;               /* 1: faults stopped and the session was ended; 2: the PC was restarted once more */

/* What the invariants need to remember; no step reads it but `spent`, which the server must know too. */
bool wasOver;               /* the session expired, ended or was lost */
bool saidYes;               /* the representative's click (R4) */
bool agreed;                /* the customer's (R7) */
bool given;                 /* an order was given ... */
bool standing;              /* ... and nothing has come of it yet */
bool spent;                 /* the ticket has resumed the session */
bool newBoot;               /* a boot since the order */
byte orderedBoots;          /* the boots that rule 3 calls ordered, as a set */

/* Scratch of one step: not part of a state. */
hidden byte chosen; hidden byte number; hidden byte m; hidden byte w; hidden byte b; hidden byte seat;
hidden byte ok; hidden byte first;

/* --- invariants: each breaks an assertion of its own name --------------------------------------------------------- */

hidden byte broken_I1; hidden byte broken_I2; hidden byte broken_I3; hidden byte broken_I4; hidden byte broken_I6;
hidden byte broken_I7; hidden byte broken_I8; hidden byte broken_I9; hidden byte broken_I10; hidden byte broken_I11;
hidden byte broken_rule9; hidden byte broken_queue;

#define HOLDS(name, what) broken_##name = !(what); assert(!broken_##name)

#include "table.pml"
#include "network.pml"
#include "server.pml"
#include "agent.pml"
#include "windows.pml"

/* --- what is due, and what may be added --------------------------------------------------------------------------- */

#define ON_UP(c) (len(link[c].up) > 0 || link[c].upEnd)
#define ON_DOWN(c) (len(link[c].down) > 0 || link[c].downEnd)
#define ON_CALL (doing != 0)
#define ON_BOOT (going == 0 && pc != DESKTOP && pc != OFF && !(pc == WELCOME && !probing))
#define ON_SIGN_IN (going == 0 && pc == WELCOME && !probing)
#define ON_PROMPT (question && pc == DESKTOP && going < POINT_OF_NO_RETURN)
#define ON_CONFIRM (restart == CONFIRMING && harness == 0)
#define ON_LINK(c) (ON_UP(c) || ON_DOWN(c))
#if LINKS == 3
#define ON_LINKS (ON_LINK(1) || ON_LINK(2) || ON_LINK(3))
#elif LINKS == 5
#define ON_LINKS (ON_LINK(1) || ON_LINK(2) || ON_LINK(3) || ON_LINK(4) || ON_LINK(5))
#else
#error LINKS is 3 or 5: a macro cannot count
#endif
#define DUE (ON_LINKS || trying || ON_CALL || going != 0 || ON_BOOT || ON_SIGN_IN || pc == OFF \
    || ON_PROMPT || ON_CONFIRM || tRetry || tAgentLimit || tIdle \
    || tAsk || tWindow || tLimit || tConfirm || (tAnswer && !tAsk) || tService || tHelper)

/* A connection can be lost while both ends believe in it, or while something still goes up. */
#define WHOLE(c) (mine == c && link[c].server && !link[c].upEnd && !link[c].downEnd)
#define LOSABLE(c) (WHOLE(c) || (link[c].server && len(link[c].up) + link[c].upEnd > 1))

inline is_lost(c) {
    wipe(link[c].up); wipe(link[c].down);
    link[c].upEnd = link[c].server; link[c].downEnd = (mine == c)
}

/* What must be true when nothing is due any more. */
#define CLEAN (record == NOTHING && !entry && !key && !flag && !undo)
#define FINE_I9 (restart == NO_RESTART && stage == 0 && (life == OPEN -> harness == 0 && present && goal == MEMBER \
    && phase == UP : !present))
#define FINE_I7 (CLEAN || (harness < 2 && (life != OPEN || safe)))
#define FINE_I6 (harness < 2 || !safe)

inline judge_quiet() {
    HOLDS(I9, FINE_I9);
    HOLDS(I6, FINE_I6);
    HOLDS(I7, FINE_I7)
}

inline rep_asks(safely) {
    asks--;
    if
    :: (MAC && BUG != MAC_RESTARTS) || (safely && !SERVICE && BUG != SAFE_FOR_ALL) || !present
        /* refused at once (R2, R10), and nothing has happened */
    :: else -> restart = CONFIRMING; safeOrder = safely; tConfirm = 1
    fi
}

inline rep_says_yes() {
    saidYes = 1; tConfirm = 0;
    if
    :: !present -> close_restart()
    :: present && ASKED_FIRST -> restart = ASKING; tAnswer = 1; reply(conn, QUESTION)
    :: else -> gives_order()
    fi
}

inline rep_says_no() {
    tConfirm = 0;
    if
    :: BUG == NO_IS_YES -> gives_order()
    :: else -> close_restart()
    fi
}

inline window_is_over() {
    tWindow = 0;
    if
    :: window -> finish(EXPIRED)
    :: !window && !present -> close_restart(); finish(LOST)
    :: else
    fi
}

inline limit_is_over() {  /* rule 11: the old boot still answers */
    tLimit = 0;
    if
    :: STANDS && present -> reply(conn, WITHDRAW); close_restart()
    :: else
    fi
}

inline harness_goes_on() {
    judge_quiet();
    asks = 0; faults = 0;
    if
    :: life != OPEN || harness == 1 -> harness = 2; going = ASKED; cause = BY_HARNESS; probing = 1
    :: else -> harness = 1; close_restart(); finish(ENDED)
    fi
}

active proctype world() {
    d_step {  /* what a declaration cannot say */
        c_code { chosen = getenv("BUG") ? atoi(getenv("BUG")) : 0; };
        link[1].server = 1; link[1].desk = CLAIMED
    };
end:
    do
    :: d_step { trying -> BEGIN; connects(); END("connects") }
    :: d_step { trying && FAILURES && faults -> BEGIN; faults--; trying = 0; loses_link(); proceed(); END("fails") }
    :: d_step { ON_CALL -> BEGIN; windows_answers(); END("windows answers") }
    :: d_step { going != 0 -> BEGIN; windows_goes_on(); END("windows goes down") }
    :: d_step { ON_BOOT -> BEGIN; boots_on(); END("windows comes up") }
    :: d_step { ON_SIGN_IN -> BEGIN; pc = SHELL; END("customer signs in") }
    :: d_step { pc == OFF -> BEGIN; pc = FIRMWARE; END("power returns") }
    :: d_step { tService -> BEGIN; service_begins(); END("service starts") }
    :: d_step { tHelper -> BEGIN; helper_begins(); END("helper starts") }
    :: d_step { ON_PROMPT -> BEGIN; agreed = 1; answers_with(SAID_YES); END("customer yes") }
    :: d_step { ON_PROMPT -> BEGIN; answers_with(SAID_NO); END("customer no") }
    :: d_step { tAsk -> BEGIN; answers_with(SAID_NOTHING); END("agent ask restart") }
    :: d_step { tRetry -> BEGIN; tRetry = 0; connect(); proceed(); END("agent retry") }
    :: d_step { tAgentLimit -> BEGIN; tAgentLimit = 0; unwind(NOT_RESTARTING); proceed(); END("agent restart limit") }
    :: d_step { tIdle -> BEGIN; tIdle = 0; clean_up(0); proceed(); END("agent idle") }
    :: d_step { tWindow -> BEGIN; window_is_over(); END("server window") }
    :: d_step { tLimit -> BEGIN; limit_is_over(); END("server limit") }
    :: d_step { tConfirm -> BEGIN; close_restart(); END("server confirm") }
    :: d_step { tAnswer && !tAsk -> BEGIN; customer_answers(SAID_NOTHING); END("server ask restart") }
    :: d_step { ON_CONFIRM -> BEGIN; rep_says_yes(); END("rep yes") }
    :: d_step { ON_CONFIRM -> BEGIN; rep_says_no(); END("rep no") }
    :: d_step { NORMAL && asks && life == OPEN -> BEGIN; rep_asks(0); END("rep asks normal") }
    :: d_step { SAFE && asks && life == OPEN -> BEGIN; rep_asks(1); END("rep asks safe") }
    :: d_step { FOREIGN && faults && going == 0 && (pc == WELCOME || pc == DESKTOP) ->
        BEGIN; faults--; going = ASKED; cause = BY_MENU; END("start menu") }
    :: d_step { CANCELS && faults && goal == RESUMING && pc == DESKTOP && going < POINT_OF_NO_RETURN ->
        BEGIN; faults--; customer_gives_up(); END("customer cancels") }
    :: d_step { CUTS && faults && pc != OFF -> BEGIN; faults--; falls(OFF); END("power cut") }
    :: d_step { CUTS && faults && pc != OFF && pc != FIRMWARE -> BEGIN; faults--; falls(FIRMWARE); END("crash") }
    :: d_step { CUTS && faults && goal != NOBODY -> BEGIN; faults--; process_ends(); END("agent dies") }
    :: d_step { !DUE && harness < 2 && !LTL -> BEGIN; harness_goes_on(); END("harness") }
    /* The end of a behaviour is judged, and adds no transition as long as it is as it should be. */
    :: d_step { !DUE && harness == 2 && !(FINE_I6 && FINE_I7 && FINE_I9) -> judge_quiet() }
    od
}

/* What arrives, and what is lost, on the connection whose number is this process's. */
active [LINKS] proctype wire() {
end:
    do
    :: d_step { ON_UP(_pid) -> BEGIN; number = _pid; arrives_up(number); END("up") }
    :: d_step { ON_DOWN(_pid) -> BEGIN; number = _pid; arrives_down(number); END("down") }
    :: d_step { LOSSES && faults && LOSABLE(_pid) -> BEGIN; number = _pid; faults--; is_lost(number); END("lose") }
    od
}

#if LTL
/* I9: every order that stands comes to its end, in every order of what is due. */
ltl decided { [] (standing -> <> !standing) }
#endif
