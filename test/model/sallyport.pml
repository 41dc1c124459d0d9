/*
 * One call, its lists, its media nodes and what goes wrong with them.
 *
 * The state machine of src/core/call.ts is tested with random histories; what those cannot show is how it, the lists,
 * the two pools of nodes, the journal and the crashes of each play together in every order. This model has all orders.
 * It keeps what the invariants of docs/architecture.md are about and leaves out what they are not: SIP, prompts, keys,
 * sound. test/model/model.test.ts checks the properties at the end of the file, and that each of the wrong designs
 * below, chosen by -D, breaks the property it stands for:
 *
 *   ONE_MEDIA     private calls run on a node that can record, with its recording stopped     (with RESUMES) record_listed
 *   ABSENT_OK     a list that could not be read counts as "not listed"                        record_listed, unknown_connects
 *   NO_SNAPSHOT   Redis alone says who is privileged                                          protect_open
 *   NAIVE_ORDER   media is opened first, the decision is written down meanwhile               undurable_media
 *   UNPROVED      a node's "ok" counts as a recording                                         unrecorded
 *   NO_WATCH      nobody looks whether the recording goes on                                  unrecorded_goes_on
 *   OWN_FLAG      what the parties are told has a setting of its own                          untrue
 *   NO_RECOVERY   a controller that starts does not look what its predecessor left            orphans
 *   NO_CUSTODY    nobody compares old recordings with newer lists                             unsealed
 *   LATE_STOP     a call that becomes private is moved before its recording stops             record_private
 *   RESUMES       a media node keeps its calls elsewhere and goes on with them after a crash  record_private
 *                 (rtpengine 10.5 with a Redis of its own does, and resumes a recording that was stopped)
 *
 * CALM is no wrong design: nothing fails, and the steps of the call are printed by the names that the effects of
 * src/core/call.ts have, so that the test can hold the one against the other. 1 is an ordinary number, 2 a privileged
 * one, 3 one that becomes privileged while it is recorded.
 */

#ifdef CALM
#define DID(effect) ; printf(effect)
#else
#define CALM 0
#define DID(effect)
#endif

mtype:answer = { unasked, listed, absent, unknown };
mtype:verdict = { undecided, monitored, private, refused };

/* The lists: what was published, and what of it can be read. */
bool privileged = (CALM == 2); /* the number is published as privileged, and in force */
bool readable = true;       /* Redis answers, armed and fresh */
bool snapshot = (CALM == 2); /* the controller's own signed copy says privileged */

/* The call, in the controller's memory and in the world. */
mtype:answer answer = unasked;
mtype:verdict verdict = undecided;
mtype:verdict told = undecided;
bool truth = false;         /* privileged when the lists were asked */
bool copy = false;          /* in the snapshot when the lists were asked */
bool known = false;         /* they could be asked at all */
bool wanted = true;         /* neither party has hung up */
bool up = true;             /* the controller lives */
bool legs = false;          /* a dialog with the called party is open */

/* On the controller's disk: rows survive a crash. */
bool decisionRow = false;
bool moveRow = false;
bool cdr = false;

/* The two pools. A session that is open lets the parties hear each other. */
bool rUp = true;    bool rSession = false;  bool rOpen = false;  bool rWrites = false;
bool pUp = true;    bool pSession = false;  bool pOpen = false;
bool rStopped = false;      /* its recording was stopped, and the node knows */

bool lost = false;          /* a node or its disk failed it */

/* The vault. */
bool bytes = false;         /* something of this call was written to a disk */
bool sealed = false;

/* How much may go wrong: more of the same adds states and no new kind of history. */
byte crashes = (CALM -> 0 : 2);     /* of the controller: one of them while it cleans up after the other */
byte nodeFaults = (CALM -> 0 : 1);
byte redisFaults = 1;      /* gone, frozen, emptied or stale: the same to whoever asks */

#define open        (rOpen || pOpen)
#define recording   (rOpen && rWrites)

/* ---- the world around: anything of this may happen at any time, or never */

active proctype World() {
  bool had, was, wrote;
  do
  :: CALM == 0 && !privileged -> privileged = true
  :: CALM == 3 && rOpen && !privileged -> privileged = true
  :: CALM == 0 && readable && redisFaults > 0 -> redisFaults--; readable = false
  :: !readable -> readable = true
  :: atomic { up && readable && privileged && !snapshot -> snapshot = true }
  :: CALM == 0 && wanted -> wanted = false
  :: CALM != 0 && wanted && told == (CALM == 1 -> monitored : private) && open -> wanted = false
  :: atomic { up && crashes > 0 -> crashes--; up = false }
  :: atomic {
       rUp && nodeFaults > 0 -> nodeFaults--; lost = true;
       rUp = false; had = rSession; was = rOpen; wrote = rWrites || rStopped;
       rSession = false; rOpen = false; rWrites = false; rStopped = false
     }
  :: atomic {
       !rUp -> rUp = true;
#ifdef RESUMES
       rSession = had; rOpen = was; rWrites = wrote;
#endif
       had = false; was = false; wrote = false
     }
  :: atomic { rUp && rWrites && nodeFaults > 0 -> nodeFaults--; lost = true; rWrites = false } /* its disk is full */
  :: atomic { pUp && nodeFaults > 0 -> nodeFaults--; pUp = false; pSession = false; pOpen = false }
  :: !pUp -> pUp = true
  :: CALM == 0 -> break     /* and nothing more happens: nobody hangs up, nothing comes back */
  od
}

active proctype Disk() {
  do
  :: atomic { recording && !bytes -> bytes = true }
  od
}

/* Continuous and nightly: recordings against the lists of today. */
active proctype Custody() {
#ifndef NO_CUSTODY
  do
  :: atomic { bytes && cdr && privileged && readable && !sealed -> sealed = true }
  od
#else
  skip
#endif
}

/* ---- the controller */

inline lookUp() {
  atomic {
    truth = privileged;
    copy = snapshot;
    known = readable || snapshot;
    if
#ifndef NO_SNAPSHOT
    :: snapshot -> answer = listed
    :: !snapshot && readable -> answer = (privileged -> listed : absent)
    :: !snapshot && !readable ->
#else
    :: readable -> answer = (privileged -> listed : absent)
    :: !readable ->
#endif
#ifdef ABSENT_OK
       answer = absent
#else
       answer = unknown
#endif
    fi
  }
}

inline decide() {
  if
  :: answer == listed -> verdict = private
  :: answer == absent -> verdict = monitored
  :: else -> verdict = refused
  fi
}

inline anchor() {
  if
#ifdef ONE_MEDIA
  :: atomic { verdict == private && rUp -> rSession = true; rWrites = true }
     atomic { rWrites = false; rStopped = true }
#else
  :: atomic { verdict == private && pUp -> pSession = true }
#endif
  :: atomic { verdict == monitored && rUp -> rSession = true }
  :: CALM == 0 -> goto finish /* the node does not answer, or there is none */
  fi
}

inline arm() {
  if
  :: verdict == monitored ->
     if
     :: atomic { rUp && rSession -> rWrites = true } DID("arm\n")
#ifdef UNPROVED
     :: skip                /* "ok", and no file */
#endif
     :: CALM == 0 -> goto finish
     fi
  :: else -> skip
  fi
}

inline tell() {
#ifdef OWN_FLAG
  if
  :: told = private
  :: told = monitored
  fi
#else
  told = verdict
#endif
}

inline openMedia() {
  if
  :: atomic { pSession && pUp -> pOpen = true }
  :: atomic { rSession && rUp -> rOpen = true }
  :: else -> goto finish
  fi
}

/* Recording stops first, then the new decision is durable, then the call goes to a node that cannot record. */
inline becomePrivate() {
#ifdef LATE_STOP
  moveRow = true; verdict = private;
  rWrites = false;
#else
  atomic { rWrites = false; rStopped = rSession } DID("stop-recording\n");
  if
  :: moveRow = true DID("journal-decision\n")
  :: CALM == 0 -> goto finish /* the journal takes no row: the call ends */
  fi;
  verdict = private;
#endif
  if
  :: atomic { pUp -> pSession = true }
  :: CALM == 0 -> goto finish
  fi;
  atomic { rOpen = false; rSession = false; rStopped = false };
  if
  :: atomic { pSession -> pOpen = true } DID("move-media\n")
  :: !pSession -> goto finish
  fi;
  told = private DID("interlude\n")
}

/* Everything is closed, each thing for itself, and the CDR is last. What was written of a private call is sealed. */
inline closeAll() {
  legs = false DID("hang-up-called\n");
  rOpen = false; pOpen = false;
  atomic { rWrites = false; rSession = false; rStopped = false };
  pSession = false DID("release-media\n");
  if
  :: bytes && (verdict == private || moveRow) -> sealed = true
  :: else -> skip
  fi;
  if
  :: decisionRow -> cdr = true DID("write-cdr\n")
  :: else -> skip
  fi
}

active proctype Controller() {
  {
    lookUp() DID("look-up-and-decide\n");
    decide();
#ifndef NAIVE_ORDER
    if
    :: decisionRow = true DID("journal-decision\n")
    :: CALM == 0 -> goto finish /* the journal takes no row: no call */
    fi;
#endif
    if
    :: verdict == refused -> goto finish
    :: else -> skip
    fi;
    anchor() DID("anchor\n");
    legs = true DID("dial\n"); /* and it answers */
    tell() DID("tell\n");
    arm();
    openMedia() DID("open-media\n");
#ifdef NAIVE_ORDER
    decisionRow = true;
#endif
    do
    :: !wanted -> break
    :: verdict == private && !pOpen && !rOpen -> break
    :: verdict == monitored && !rOpen -> break
#ifndef NO_WATCH
    :: verdict == monitored && !rWrites -> break
#endif
    :: verdict == monitored && privileged && (readable || snapshot) -> becomePrivate()
    od;
finish:
    closeAll();
    goto over
  } unless { !up };

again:
  /* A successor starts. It knows what the disk says, and nothing else. */
  up = true;
  {
#ifndef NO_RECOVERY
    if
    :: decisionRow && !cdr ->
       rOpen = false; pOpen = false;
       atomic { rWrites = false; rSession = false; rStopped = false };
       pSession = false;
       legs = false;
       if
       :: bytes && (moveRow || answer == listed) -> sealed = true
       :: else -> skip
       fi;
       cdr = true
    :: else -> skip
    fi
#endif
    skip
  } unless { !up };
  if
  :: !up -> goto again
  :: up
  fi;
over:
  skip
}

/* ---- what must hold (docs/architecture.md; invariants I1 to I10) */

/* I1: no sound of a private call is written. */
#define P_RECORD_PRIVATE (!(recording && verdict == private))
/* I1, by what the lists said when they were asked, whatever came of the answer. */
#define P_RECORD_LISTED (!(recording && truth))
/* I2 */
#define P_UNDURABLE_MEDIA (!open || decisionRow)
/* I3: no sound passes in a monitored call before its recording is there. */
#define P_UNRECORDED (!(rOpen && verdict == monitored && !rWrites) || lost || rStopped)
/* I4: nothing is connected on lists that could not be asked. */
#define P_UNKNOWN_CONNECTS (!open || known)
/* When a part fails: who is privileged in the snapshot gets a private call, also without Redis. */
#define P_PROTECT_OPEN (verdict == undecided || !copy || verdict == private)
/* I6: who is recorded was told so. */
#define P_UNTRUE (!recording || told == monitored)

ltl record_private { [] P_RECORD_PRIVATE }
ltl record_listed { [] P_RECORD_LISTED }
ltl undurable_media { [] P_UNDURABLE_MEDIA }
ltl unrecorded { [] P_UNRECORDED }
ltl unknown_connects { [] P_UNKNOWN_CONNECTS }
ltl protect_open { [] P_PROTECT_OPEN }
ltl untrue { [] P_UNTRUE }
/* All of them, in one walk through the states. */
ltl safe { [] (P_RECORD_PRIVATE && P_RECORD_LISTED && P_UNDURABLE_MEDIA && P_UNRECORDED && P_UNKNOWN_CONNECTS &&
  P_PROTECT_OPEN && P_UNTRUE) }

/* I3: where a recording is lost, the call ends or becomes private. */
ltl unrecorded_goes_on { [] ((rOpen && verdict == monitored && !rWrites) -> <> (!rOpen)) }
/* I8 and I10: each decision has its CDR in the end, and nothing is left open. */
ltl orphans { [] ((decisionRow && <> !wanted) -> <> (cdr && !rSession && !pSession && !legs && !open)) }
/* What was recorded and is privileged, then or later, is sealed in the end. */
ltl unsealed { [] ((bytes && privileged && ([] readable) && <> !wanted) -> <> sealed) }

/* What must not hold: each of these is a place the model has to reach, or what it proves is nothing. */
ltl never_monitored { [] !(rOpen && bytes && told == monitored) }
ltl never_private { [] !(pOpen && !moveRow) }
ltl never_moved { [] !(pOpen && moveRow && bytes) }
ltl never_refused { [] !(verdict == refused && cdr) }
ltl never_recovered { [] !(cdr && crashes == 0 && bytes) }
ltl never_lost { [] !(rOpen && verdict == monitored && lost && !rWrites) }
ltl never_sealed_late { [] !(sealed && !moveRow) }
