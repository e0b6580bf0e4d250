/* --- queues ------------------------------------------------------------------------------------------------------- */

inline wipe(queue) {
    do
    :: len(queue) > 0 -> queue?_
    :: else -> break
    od
}

/* --- the network -------------------------------------------------------------------------------------------------- */

inline reply(c, what) {
    if
    :: link[c].server && mine == c && !link[c].downEnd -> link[c].down!what
    :: else
    fi
}

inline hang_up(c) {  /* the server does; what it sent before still arrives */
    if
    :: link[c].server ->
        link[c].server = 0; link[c].upEnd = 0;
        wipe(link[c].up);
        if
        :: mine == c -> link[c].downEnd = 1
        :: else -> link[c].desk = SILENT
        fi
    :: else
    fi
}

inline say(what) {
    if
    :: mine != 0 && link[mine].server && !link[mine].upEnd -> link[mine].up!what
    :: else
    fi
}

inline leave() {  /* the agent's end is gone; the server learns of it after what was sent before */
    trying = 0;
    if
    :: mine != 0 ->
        link[mine].downEnd = 0;
        wipe(link[mine].down);
        if
        :: link[mine].server -> link[mine].upEnd = 1
        :: else -> link[mine].desk = SILENT
        fi;
        mine = 0
    :: else
    fi
}
