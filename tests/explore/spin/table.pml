/* --- every transition, written down ------------------------------------------------------------------------------- */

c_code {
#ifdef TABLE
static FILE *table;
static char was[1024];
static void tell_number(const char *label) {  /* of the connection, where there is one */
    if (number) fprintf(table, "\t%s %d\t", label, number);
    else fprintf(table, "\t%s\t", label);
}
static int tell_queue(char *to, int queue) {
    int at = 0, i;
    for (i = 0; i < q_len(queue); i++) at += sprintf(to + at, "%s%d", i ? "." : "", qrecv(queue, i, 0, 0));
    return at;
}
#define TELL(x) at += sprintf(to + at, "%d,", (int) now.x)
static void tell_state(char *to) {
    int at = 0, i;
    TELL(life); TELL(present); TELL(conn); TELL(theirBoot); TELL(unheard); TELL(heard); TELL(theirSeat);
    TELL(restart); TELL(safeOrder); TELL(window); TELL(tWindow); TELL(tLimit); TELL(tConfirm); TELL(tAnswer);
    to[at++] = '|';
    TELL(goal); TELL(phase); TELL(stage); TELL(row); TELL(safeHere); TELL(report); TELL(ending);
    TELL(question); TELL(kept); TELL(doing); TELL(safeWrite); TELL(ourKey); TELL(ourFlag); TELL(seen);
    TELL(tRetry); TELL(tAgentLimit); TELL(tIdle); TELL(tAsk); TELL(todo);
    to[at++] = '|';
    TELL(pc); TELL(going); TELL(cause); TELL(boot); TELL(safe); TELL(probing); TELL(tService); TELL(tHelper);
    TELL(helper); TELL(record); TELL(recordBoot); TELL(recordKey); TELL(recordFlag); TELL(entry); TELL(key);
    TELL(flag); TELL(undo); TELL(undoing);
    to[at++] = '|';
    TELL(asks); TELL(faults); TELL(harness); TELL(trying); TELL(mine);
    to[at++] = '|';
    TELL(wasOver); TELL(saidYes); TELL(agreed); TELL(given); TELL(standing); TELL(spent); TELL(newBoot);
    TELL(orderedBoots);
    for (i = 1; i <= LINKS; i++) {
        if (now.mine != i && !now.link[i].server) continue;
        at += sprintf(to + at, "|%d:", i);
        TELL(link[i].server); TELL(link[i].desk);
        at += tell_queue(to + at, now.link[i].up);
        to[at++] = now.link[i].upEnd ? '!' : ',';
        at += tell_queue(to + at, now.link[i].down);
        to[at++] = now.link[i].downEnd ? '!' : ',';
    }
    to[at] = 0;
}
static void remember(void) { tell_state(was); }
static void tell(const char *label) {
    static char is[1024];
    if (!table) table = fopen("table", "w");
    tell_state(is);
    fprintf(table, "%s", was);
    tell_number(label);
    fprintf(table, "%s\n", is);
}
#else
#define remember()
#define tell(label)
#endif
};

#define BEGIN number = 0; c_code { remember(); }
#define END(label) c_code { tell(label); }
