/* --- the agent ---------------------------------------------------------------------------------------------------- */

inline connect() { leave(); phase = CONNECTING; trying = 1 }

inline drop_link() { leave(); phase = DOWN; tRetry = 0 }

inline process_ends() {  /* by itself or not: memory and connection are gone */
    leave();
    goal = NOBODY; phase = DOWN; stage = 0; row = 0; report = 0; ending = 0; question = 0; kept = 0; doing = 0;
    todo = 0;
    ourKey = 0; ourFlag = 0; safeHere = 0; safeWrite = 0; seen = 0;
    tRetry = 0; tAgentLimit = 0; tIdle = 0; tAsk = 0;
    helper = 0; tHelper = 0
}

/* All or nothing (rule 8): what was done is undone, last step first; only then the server hears of it. */
inline unwind(why) {
    if
    :: stage == ARMING || stage == REQUESTED || stage == ENDING ->
        tAgentLimit = 0;
        if
        :: row == RESTART && stage != ARMING -> todo = todo | T_ABORT
        :: else
        fi;
        if
        :: row >= INTENT -> todo = todo | T_UNINTENT
        :: else
        fi;
        if
        :: row >= FLAG && safeHere -> todo = todo | T_CLEAR_FLAG
        :: else
        fi;
        if
        :: row >= KEY && safeHere && !safe -> todo = todo | T_REMOVE_KEY
        :: else
        fi;
        if
        :: row >= TICKET -> todo = todo | T_FORGET
        :: else
        fi;
        todo = todo | T_DISARM;
        stage = UNWINDING; row = 0; report = why
    :: else
    fi
}

inline tidy_up() {
    stage = 0; row = 0; report = 0; safeHere = 0;
    tAgentLimit = 0; question = 0; kept = 0; tAsk = 0;
    todo = (first -> T_ABORT : 0) | (ourFlag -> T_CLEAR_FLAG : 0) | (ourKey -> T_REMOVE_KEY : 0) | T_FORGET;
    todo = todo | (BUG == ENTRY_STAYS -> 0 : T_DISARM)
}

/* The session is over for this agent: it leaves nothing behind (rule 7). */
inline clean_up(abort) {
    first = abort || (todo & T_ABORT);
    goal = CLEANING;
    tidy_up();
    drop_link()
}

inline next_row() {  /* of arming, whose order is the order of the words */
    do
    :: row++;
        if
        :: row == LOOK && !SERVICE
        :: row >= KEY && row <= READ_FLAG && !safeHere
        :: else -> break
        fi
    od
}

/* One request to Windows at a time: chores first, then the order under way, then the end. */
inline proceed() {
    if
    :: doing == 0 && todo != 0 ->
        w = (todo & T_ABORT -> ABORT : (todo & T_UNINTENT -> UNINTENT : (todo & T_CLEAR_FLAG -> CLEAR_FLAG :
            (todo & T_REMOVE_KEY -> REMOVE_KEY : (todo & T_FORGET -> FORGET : (todo & T_DISARM -> DISARM :
            (todo & T_ENTRY -> ENTRY : LOOK_KEY)))))));
        doing = w;
        todo = todo & ~(w == ENTRY -> T_ENTRY : (w == LOOK_KEY -> T_LOOK_KEY : 1 << (w - ABORT)));
        safeWrite = safeHere && w == UNINTENT
    :: else
    fi;
    if
    :: doing == 0 && stage == UNWINDING ->
        if
        :: phase == UP && report != 0 -> say(report)
        :: else
        fi;
        stage = 0; row = 0; report = 0; safeHere = 0
    :: doing == 0 && stage == ARMING && (row != INTENT || phase == UP) ->
        if
        :: row == INTENT -> say(ARMED); tAgentLimit = 1
        :: row == RESTART -> stage = REQUESTED
        :: row == KEY -> ourKey = 1     /* before it is tried: it may be done even if nobody says so */
        :: row == FLAG -> ourFlag = 1
        :: else
        fi;
        doing = row; safeWrite = safeHere && (row == TICKET || row == INTENT)
    :: doing == 0 && goal == CLEANING && stage == 0 ->
        if
        :: SERVICE -> goal = IDLE
        :: else -> process_ends()
        fi
    :: else
    fi
}

inline say_seat() {
    if
    :: SERVICE && phase == UP && seen -> say(SEAT_TAKEN)
    :: SERVICE && phase == UP && !seen -> say(SEAT_EMPTY)
    :: else
    fi
}

inline claims() {
    phase = CLAIMING;
    if
    :: goal == RESUMING -> say(RESUME + BOOT * boot + SEEN * seen)
    :: goal == LEAVING -> say(CANCEL)
    :: goal == MEMBER && stage != 0 && stage != UNWINDING -> say(RESTARTING_STILL + BOOT * boot)
    :: else -> say(RECONNECT + BOOT * boot)
    fi
}

inline is_back() {  /* the old boot, after a loss of network: both sides must mean the same order */
    phase = UP;
    if
    :: kept != 0 -> say(kept); kept = 0
    :: else
    fi;
    say_seat();
    if
    :: stage != 0 && m == RESUMED -> unwind(0); report = 0
    :: stage == 0 && m == RESUMED_ORDERED -> say(NOT_RESTARTING)
    :: stage == REQUESTED && m == RESUMED_ORDERED -> say(ARMED)     /* the first one may be lost */
    :: else
    fi
}

inline agent_hears() {
    if
    :: m == TURNED_AWAY || m == OVER_NOW -> clean_up(stage == REQUESTED)
    :: m == WELCOME_TO && phase == GREETING -> claims()
    :: (m == RESUMED || m == RESUMED_ORDERED) && phase == CLAIMING && goal == RESUMING ->
        goal = MEMBER; phase = UP;
        todo = (todo & ~T_ENTRY) | T_FORGET | T_DISARM   /* the ticket is spent, so record and entry go (rule 7) */
    :: (m == RESUMED || m == RESUMED_ORDERED) && phase == CLAIMING && goal == MEMBER -> is_back()
    :: (m == RESUMED || m == RESUMED_ORDERED) && phase == CLAIMING && goal == LEAVING ->
        say(LEAVES);
        clean_up(0)
    :: (m == ORDER || m == SAFE_ORDER) && phase == UP ->
        if
        :: ending || MAC || (m == SAFE_ORDER && !SERVICE) -> say(ARM_FAILED)
        :: else -> stage = ARMING; row = ENTRY; safeHere = (m == SAFE_ORDER)
        fi
    :: m == WITHDRAW && phase == UP ->
        if
        :: stage == ARMING || stage == REQUESTED -> unwind(NOT_RESTARTING)
        :: else
        fi
    :: m == QUESTION && phase == UP -> question = 1; tAsk = 1
    :: else
    fi;
    proceed()
}

inline customer_gives_up() {  /* phone mode: the record goes at once, the server is told when it can be (R11) */
    goal = LEAVING; first = 0;
    tidy_up();
    if
    :: phase == CLAIMING -> claims()
    :: else
    fi;
    proceed()
}

inline loses_link() {
    if
    :: ending -> phase = DOWN
    :: else -> phase = WAITING; tRetry = 1
    fi
}

inline arrives_down(c) {
    if
    :: len(link[c].down) == 0 ->
        mine = 0; link[c].downEnd = 0;
        if
        :: !link[c].server -> link[c].desk = SILENT
        :: else
        fi;
        loses_link();
        proceed()
    :: else ->
        link[c].down?m;
        agent_hears()
    fi
}

inline connects() {  /* on the smallest free number */
    trying = 0;
    mine = 1;
    do
    :: mine < LINKS && link[mine].server -> mine++
    :: else -> break
    od;
    HOLDS(queue, !link[mine].server);
    link[mine].server = 1;
    phase = GREETING;
    say(HELLO);
    proceed()
}

inline answers_with(what) {
    tAsk = 0; question = 0;
    if
    :: phase == UP -> say(what)
    :: else -> kept = what
    fi;
    proceed()
}

/* A process begins (rule 3): a new boot resumes only from a record whose intent is set. */
inline process_begins() {
    seen = SERVICE && (pc == SHELL || pc == STARTING || pc == DESKTOP);
    if
    :: record == HAS_INTENT && recordBoot != boot ->
        goal = RESUMING; ourKey = recordKey; ourFlag = recordFlag;
        if
        :: ourFlag -> todo = todo | T_CLEAR_FLAG
        :: else
        fi;
        if
        :: ourKey && !safe -> todo = todo | T_REMOVE_KEY
        :: else
        fi;
        if
        :: !SERVICE -> todo = todo | T_ENTRY   /* Windows has used it up */
        :: else
        fi;
        if
        :: !ourFlag -> connect()        /* else once the flag is cleared: that comes first (rule 7) */
        :: else
        fi
    :: record == HAS_TICKET && BUG == FOREIGN_RESUMES -> goal = RESUMING; connect()
    :: record == HAS_TICKET && BUG != FOREIGN_RESUMES ->
        ourKey = recordKey; ourFlag = recordFlag;
        clean_up(0)
    :: record == HAS_REST || (record == HAS_INTENT && recordBoot == boot) ->
        ourKey = recordKey; ourFlag = recordFlag;
        clean_up(record == HAS_INTENT)
    :: record == NOTHING && SERVICE && safe -> ourKey = 1; ourFlag = 1; clean_up(0)
    :: record == NOTHING && SERVICE && !safe -> goal = IDLE; todo = todo | T_LOOK_KEY
    :: record == NOTHING && !SERVICE -> goal = IDLE; tIdle = 1
    fi;
    proceed()
}
