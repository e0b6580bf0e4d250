/* --- Windows ------------------------------------------------------------------------------------------------------ */

inline keeps(what) {
    record = what; recordBoot = boot;
    recordKey = safeWrite || ourKey; recordFlag = safeWrite || ourFlag;
    safeWrite = 0
}

inline windows_answers() {
    w = doing; doing = 0; ok = 1;
    if
    :: w == ENTRY -> entry = !SERVICE
    :: w == TICKET || w == UNINTENT -> keeps(HAS_TICKET)
    :: w == INTENT -> keeps(HAS_INTENT)
    :: w == FORGET ->
        if
        :: ourKey || ourFlag -> keeps(HAS_REST)
        :: else -> record = NOTHING; recordBoot = 0; recordKey = 0; recordFlag = 0
        fi
    :: w == DISARM -> entry = 0
    :: w == KEY -> key = 1; undo = 1
    :: w == REMOVE_KEY -> key = 0; undo = 0
    :: w == FLAG -> flag = 1
    :: w == CLEAR_FLAG -> flag = flag && BUG == FLAG_STAYS
    :: w == RESTART && going == 0 ->
        HOLDS(I4, given);
        HOLDS(I8, !MAC);
        going = ASKED; cause = BY_AGENT
    :: w == ABORT && going == ASKED && cause == BY_AGENT -> going = 0; cause = 0
    :: (w == RESTART && going != 0) || (w == ABORT && !(going == ASKED && cause == BY_AGENT)) -> ok = 0
    :: else
    fi;
    /* and the agent hears it */
    if
    :: ok && w == CLEAR_FLAG -> ourFlag = 0
    :: ok && w == REMOVE_KEY -> ourKey = 0
    :: else
    fi;
    if
    :: w == LOOK_KEY && key ->
        ourKey = 1; ourFlag = 1;
        todo = todo | T_CLEAR_FLAG | T_REMOVE_KEY
    :: w == CLEAR_FLAG && phase == DOWN && !ending && goal >= RESUMING && goal <= LEAVING -> connect()
    :: else
    fi;
    if
    :: ok && stage == ARMING && w == row -> next_row()
    :: !ok && w == RESTART ->
        if
        :: w == row -> unwind(ARM_FAILED)   /* rule 8, also while somebody else's restart goes on */
        :: else
        fi;
        todo = todo & ~T_ABORT     /* nothing to abort */
    :: else
    fi;
    proceed()
}

inline session_ends() {  /* the point of no return, and programs are told */
    going = POINT_OF_NO_RETURN;
    tService = 0; tHelper = 0;
    if
    :: goal != NOBODY && !ending ->
        ending = 1;
        if
        :: stage == REQUESTED ->
            stage = ENDING; tAgentLimit = 0;
            if
            :: phase == UP -> say(GOING_DOWN)
            :: else
            fi
        :: else -> unwind(ARM_FAILED)
        fi;
        if
        :: phase != UP -> drop_link()
        :: else
        fi;
        proceed()
    :: else
    fi
}

inline windows_goes_on() {
    if
    :: going == ASKED -> session_ends()
    :: going == POINT_OF_NO_RETURN -> going = STOPPING; process_ends()
    :: going == STOPPING -> going = 0; cause = 0; pc = FIRMWARE; safe = 0
    fi
}

inline falls(to) {  /* power cut or crash: memory is lost, the disk stays */
    process_ends();
    going = 0; cause = 0; pc = to; safe = 0; undoing = 0; tService = 0
}

inline boots_on() {
    if
    :: pc == FIRMWARE ->
        pc = LOADING; boot++; safe = flag;
        newBoot = 1;
        orderedBoots = orderedBoots | (record == HAS_INTENT -> 1 << boot : 0);
        HOLDS(I10, SERVICE || !safe)
    :: pc == LOADING -> pc = SERVICES; tService = SERVICE && (key || !safe)
    :: pc == SERVICES -> pc = WELCOME
    :: pc == WELCOME -> pc = SHELL
    :: pc == SHELL -> pc = STARTING; undoing = undo; undo = 0
    :: pc == STARTING ->
        pc = DESKTOP; probing = 0;
        if
        :: undoing -> flag = flag && BUG == FLAG_STAYS; undoing = 0
        :: else
        fi;
        if
        :: entry && goal == NOBODY -> process_begins()
        :: else
        fi;
        tHelper = SERVICE && goal != NOBODY
    fi
}

inline service_begins() {
    tService = 0;
    process_begins();
    tHelper = (pc == DESKTOP)
}

inline helper_begins() {
    tHelper = 0; helper = 1; seen = 1;
    say_seat();
    proceed()
}
