/* --- the session server ------------------------------------------------------------------------------------------- */

#define STANDS (restart == ORDERED || restart == IS_ARMED)

inline lets_in(c) {
    HOLDS(I1, !wasOver);
    HOLDS(I3, !present);
    present = 1; conn = c; heard = 0
}

inline lose_endpoint() {  /* rules 1 and 3: the window opens if an order stands; its time runs in either case */
    present = 0; conn = 0;
    if
    :: !window ->
        tWindow = (BUG != WINDOW_FORGOTTEN);
        window = STANDS
    :: else
    fi
}

inline close_restart() {  /* the restart under way will not happen, or its way back is cut */
    standing = 0;
    if
    :: window && present -> tWindow = 0
    :: else
    fi;
    restart = NO_RESTART; window = 0; safeOrder = 0;
    tConfirm = 0; tAnswer = 0; tLimit = 0
}

inline finish(how) {
    HOLDS(I1, !wasOver);
    life = how; wasOver = 1; standing = 0;
    if
    :: conn != 0 -> reply(conn, OVER_NOW); hang_up(conn); heard = 0
    :: else
    fi;
    present = 0; conn = 0;
    restart = NO_RESTART; window = 0; safeOrder = 0;
    tWindow = 0; tConfirm = 0; tAnswer = 0; tLimit = 0
}

inline turn_away(c) { reply(c, TURNED_AWAY); hang_up(c) }

inline gives_order() {
    HOLDS(I4, saidYes && (agreed || !ASKED_FIRST));
    HOLDS(I8, !MAC);
    HOLDS(I10, SERVICE || !safeOrder);
    restart = ORDERED; given = 1; standing = 1; newBoot = 0;
    tLimit = 1;
    if
    :: safeOrder -> reply(conn, SAFE_ORDER)
    :: else -> reply(conn, ORDER)
    fi
}

inline customer_answers(what) {  /* only a Yes goes on; silence is No (rule 6) */
    tAnswer = 0;
    if
    :: what == SAID_YES || (what == SAID_NOTHING && BUG == SILENCE_IS_YES) -> gives_order()
    :: else -> close_restart()
    fi
}

inline resumes(c, from) {  /* from a new boot, with the ticket of the standing order: rules 5 and 9 */
    if
    :: present && BUG != TWO_JOINED -> hang_up(conn); present = 0
    :: else
    fi;
    lets_in(c);
    HOLDS(I2, !spent);
    HOLDS(rule9, newBoot);
    HOLDS(I11, orderedBoots & (1 << from));
    spent = 1; standing = 0;
    theirBoot = from; unheard = 1;
    theirSeat = (SERVICE -> seat : 0);
    restart = NO_RESTART; window = 0; safeOrder = 0;
    tWindow = 0; tLimit = 0;
    reply(c, RESUMED)
}

inline claims_resume(c, from) {
    if
    :: life == EXPIRED && BUG == RESUMES_WHEN_OVER -> resumes(c, from)
    :: life != OPEN && !(life == EXPIRED && BUG == RESUMES_WHEN_OVER) -> turn_away(c)
    :: life == OPEN && STANDS && from == theirBoot -> turn_away(c)   /* rule 9: back is not resumed */
    :: life == OPEN && STANDS && from != theirBoot -> resumes(c, from)
    :: life == OPEN && !STANDS ->
        /* The ticket is used up; but the answer may have been lost, and then it is given again. */
        if
        :: spent && unheard && !heard && !present && from == theirBoot ->
            lets_in(c);
            tWindow = 0;
            reply(c, RESUMED)
        :: spent && from != theirBoot && BUG == TICKET_TWICE -> resumes(c, from)
        :: else -> turn_away(c)
        fi
    fi
}

inline claims_reconnect(c, from, still) {  /* with the live key, which one boot has: it never resumes a restart */
    if
    :: life != OPEN || from != theirBoot -> turn_away(c)
    :: life == OPEN && from == theirBoot && STANDS && BUG == BACK_IS_RESUMED -> resumes(c, from)
    :: else ->
        if
        :: present -> hang_up(conn); lose_endpoint()
        :: else
        fi;
        lets_in(c);
        unheard = 0;        /* it knows its live key, so it has been told */
        ok = STANDS;
        if
        :: ok && !still -> close_restart(); ok = 0      /* rule 11: the old boot says that none is under way */
        :: !ok -> tWindow = 0
        :: else
        fi;
        if
        :: ok -> reply(c, RESUMED_ORDERED)
        :: else -> reply(c, RESUMED)
        fi;
        if
        :: still && !ok -> reply(c, WITHDRAW)
        :: else
        fi
    fi
}

inline customer_cancels() { close_restart(); finish(ENDED) }

inline claims_cancel(c) {
    if
    :: life == OPEN && CANCELS && (STANDS || (spent && unheard && !heard)) ->
        customer_cancels();
        reply(c, OVER_NOW); hang_up(c)
    :: else -> turn_away(c)
    fi
}

inline endpoint_says(what) {
    heard = 1;
    if
    :: what == CANCEL && CANCELS -> customer_cancels()
    :: what == LEAVES -> customer_cancels()
    :: what == ARMED && restart == ORDERED -> restart = IS_ARMED; tLimit = 1; unheard = 0
    :: what == ARM_FAILED && STANDS -> close_restart()
    :: what == NOT_RESTARTING && STANDS -> close_restart()
    :: what == GOING_DOWN && STANDS ->
        if
        :: !window -> window = 1; tWindow = 1
        :: else
        fi;
        tLimit = 0          /* past the point of no return the window decides */
    :: (what == ARMED || what == GOING_DOWN) && !STANDS -> reply(conn, WITHDRAW)
    :: what >= SAID_YES && what <= SAID_NOTHING && restart == ASKING ->
        if
        :: what != SAID_NOTHING -> unheard = 0
        :: else
        fi;
        customer_answers(what)
    :: what == SEAT_EMPTY || what == SEAT_TAKEN ->
        if
        :: theirSeat != what - SEAT_EMPTY + 1 -> theirSeat = what - SEAT_EMPTY + 1; unheard = 0
        :: else
        fi
    :: else                 /* it crossed something on its way, and says nothing any more */
    fi
}

inline arrives_up(c) {
    if
    :: len(link[c].up) == 0 ->  /* the end of the connection */
        link[c].server = 0; link[c].upEnd = 0;
        b = link[c].desk;
        if
        :: mine != c -> link[c].desk = SILENT
        :: else
        fi;
        if
        :: b == CLAIMED && c == conn -> lose_endpoint()
        :: else
        fi
    :: else ->
        link[c].up?m;
        seat = 1 + m / SEEN; b = (m % SEEN) / BOOT; m = m % BOOT;
        if
        :: link[c].desk == SILENT -> link[c].desk = GREETED; reply(c, WELCOME_TO)
        :: link[c].desk == GREETED ->
            link[c].desk = CLAIMED;
            if
            :: m == RESUME -> claims_resume(c, b)
            :: m == CANCEL -> claims_cancel(c)
            :: else -> ok = 0; first = (m == RESTARTING_STILL); claims_reconnect(c, b, first)
            fi
        :: link[c].desk == CLAIMED ->
            if
            :: c == conn -> endpoint_says(m)
            :: else
            fi
        fi
    fi
}
