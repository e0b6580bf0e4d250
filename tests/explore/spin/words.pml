/* --- words ------------------------------------------------------------------------------------------------------- */

/* From the agent. A claim also says in which boot it is made, + BOOT * boot. */
#define HELLO 1
#define RESUME 2            /* with the ticket */
#define RECONNECT 3         /* with the live key: no restart is under way here */
#define RESTARTING_STILL 4  /* with the live key: a restart is under way here (rule 1) */
#define CANCEL 5            /* with the ticket: the customer does not want to come back (R11) */
#define ARMED 6
#define ARM_FAILED 7
#define GOING_DOWN 8        /* Windows is really going down */
#define NOT_RESTARTING 9
#define SAID_YES 10
#define SAID_NO 11
#define SAID_NOTHING 12
#define LEAVES 13
#define SEAT_EMPTY 14       /* service mode: no desktop could show a question */
#define SEAT_TAKEN 15
#define BOOT 16
#define SEEN 128            /* and somebody at the PC could see a question (service mode) */

/* From the server. */
#define WELCOME_TO 1
#define TURNED_AWAY 2
#define OVER_NOW 3
#define RESUMED 4           /* no order stands */
#define RESUMED_ORDERED 5   /* the order still stands */
#define ORDER 6
#define SAFE_ORDER 7        /* into safe mode */
#define WITHDRAW 8
#define QUESTION 9

/* How far a connection has come at the server. */
#define SILENT 0
#define GREETED 1
#define CLAIMED 2

/* A session's life. */
#define OPEN 0
#define EXPIRED 1
#define ENDED 2
#define LOST 3

/* A restart, as the server sees it. */
#define NO_RESTART 0
#define CONFIRMING 1        /* the representative is to say Yes (R4) */
#define ASKING 2            /* the customer is (R7) */
#define ORDERED 3           /* the agent was told */
#define IS_ARMED 4          /* and has said that it is armed */

/* What an agent is about. */
#define NOBODY 0            /* no process runs */
#define IDLE 1
#define RESUMING 2
#define MEMBER 3
#define LEAVING 4           /* the customer cancelled, the server is still to be told */
#define CLEANING 5

/* The agent's connection. */
#define DOWN 0
#define WAITING 1
#define CONNECTING 2
#define GREETING 3
#define CLAIMING 4
#define UP 5

/* A restart, as the agent sees it. */
#define ARMING 1
#define REQUESTED 2
#define ENDING 3            /* Windows said that it is going down */
#define UNWINDING 4

/* What is asked of Windows. 1..9 are the steps of arming, in their order (docs: "armed in one order"). */
#define ENTRY 1             /* autostart entry */
#define LOOK 2              /* whose boot flag is there */
#define TICKET 3            /* ticket saved */
#define KEY 4               /* SafeBoot key */
#define READ_KEY 5
#define FLAG 6              /* boot flag */
#define READ_FLAG 7
#define INTENT 8            /* intent recorded durably */
#define RESTART 9
#define ABORT 10
#define UNINTENT 11
#define CLEAR_FLAG 12
#define REMOVE_KEY 13
#define FORGET 14           /* the record goes, or keeps only what of ours is left */
#define DISARM 15
#define LOOK_KEY 16

/* What is to be undone or tidied: the reverse of the order of arming. */
#define T_ABORT 1
#define T_UNINTENT 2
#define T_CLEAR_FLAG 4
#define T_REMOVE_KEY 8
#define T_FORGET 16
#define T_DISARM 32
#define T_ENTRY 64
#define T_LOOK_KEY 128

/* What of ours stands on the disk. */
#define NOTHING 0
#define HAS_TICKET 1
#define HAS_INTENT 2
#define HAS_REST 3          /* no ticket, but a key or flag that must not be forgotten */

/* The PC. */
#define DESKTOP 0
#define WELCOME 1
#define SHELL 2             /* signed in */
#define STARTING 3          /* autostart entries taken up */
#define FIRMWARE 4
#define LOADING 5
#define SERVICES 6
#define OFF 7

/* Windows going down. */
#define ASKED 1
#define POINT_OF_NO_RETURN 2
#define STOPPING 3

/* Who began it. */
#define BY_AGENT 1
#define BY_MENU 2
#define BY_HARNESS 3
