// Package statuslog reads the status topic, which is the system's memory: Log for whoever wants to see the events, Keeper
// to bring the store back to what they say after it lost something. Beside it Control is the control topic: who was ever
// served, and whom an operator holds (Hold).
//
// The Keeper guarantees, of a merchant whose sentinel is missing or another server's (DESIGN.md, section 3, "Redis
// lost"):
//
//   - one process rebuilds it, under a lock that a wipe or a failover voids; the epoch, without which nobody can claim,
//     goes up last, so whatever stops a rebuild leaves the merchant closed, and the next try begins again;
//   - nothing is restored before the quiet time has passed in which every lease given before ends and every event made
//     before is on the topic or never will be;
//   - of each refund the highest sequence counts, and only forward; a refund that cannot be read keeps its merchant
//     closed, for nothing may be assumed about it;
//   - each refund that is not final has a new follow-up on a delay topic before the epoch goes up;
//   - the new epoch is above every one that the topic, the store or the control topic ever had, and is on the control
//     topic before the store has it;
//   - a merchant is new, and starts at once, only where the control topic, read after the lock was taken, has never
//     heard of it and says that it knows everybody. Its name is written there before its first claim. A control topic
//     that was lost is made whole by the next scan.
//
// It knows kafka, events and refund. Of the store it declares what it needs (Index).
package statuslog
