// Package explorer drives the real money path through its crashes in virtual time and holds what is left against the
// promises: refund.Handler, Decide and Recorder, the bridge's handler, statuslog.Keeper, the guard and the eftpay
// gateway, on the store in plain Go (or the Lua scripts in an embedded Redis), the simulated gateways, and a model of
// the topics and of the consumer.
//
// Every step at a port is a gate at which its goroutine waits for the one scheduler, so a run is a function of its
// schedule or seed: what fails prints one line that repeats it. A killed process never leaves the gate at which it died.
//
// There are tests here and nothing else:
//
//   - TestSchedules: one refund (or two of one order), every gate x gateway behaviour x who continues x what Redis keeps;
//   - TestLives: seeded lives of 72 hours with everything mixed;
//   - TestOnTheScripts: schedules and lives on the Lua scripts in an embedded Redis;
//   - TestSameSeedSameLog: a seed gives the same log, line by line;
//   - TestDefect...: each rule of the protocol left out on purpose, and the shortest trace by which that is found;
//   - TestReplay: repeats what EXPLORE names, with its log.
//
// The rules, and the tests in which each is left out. Where a second one makes up for it, the test shows that nothing is
// broken, and what is once the second is left out too.
//
//	the intent is on the topic before a call                    NoIntentBeforeTheCall, IntentInRedisAlone
//	every replica has it                                        IntentOnTheLeaderAlone
//	a resend publishes it again                                 ResendPublishesNothing, ResendBehindAStaleWaiting
//	the offset is committed last of all                         CommitBeforePublish, CommittedBetweenIntentAndCall
//	a refund counts as done once it is done                     MarkBeforeWork
//	an outcome that is not known is asked about                 ResendOnTimeOut
//	only the latest attempt may say that no money moved         LateNotSentBelieved, LateDeclinedBelieved
//	a query without an answer proves nothing                    QueryThatCannotConnectProvesNotFound, QueryThatCannotConnectIsNotSent
//	"not found" counts once no call can land any more           NotFoundBelievedBeforeResendAfter
//	a resend looks at the order's total and at its own token    ResendWithoutALookAtTheTotal, ResendWithoutALookAtTheToken
//	an amount is reserved before its call                       ReserveAfterTheCall
//	a token is of one claim                                     TokenMadeOfThePlace
//	a lease is counted from before its claim, by no wall clock  LeaseBegunAfterTheAnswer, LeaseByAWallClock
//	it is looked at, after publishing, before the call          LeaseIgnored, NoLookAtTheLeaseAfterPublishing
//	nothing is signed after that                                SignedAgainAfterTheLook
//	each script holds the server's identity against the epoch   ServerPolled
//	after a loss nothing is claimed for a lease                 NoQuietTimeAfterAFailover
//	a rebuild brings back what the journal knows                AssumeNewAfterAWipe, DoubtByTheClock
//	with its reservation, whatever the total                    ReservationRefusedAtARebuild
//	and voids every token                                       TokensThatSurviveAFailover
//	an epoch has sequences of its own                           SequencesFromOneAfterAWipe
//	an event is published while it is fresh                     EventHeldLongThenPublished
//	the record is looked at after publishing                    NoLookAfterPublishing
//	whoever finds his refund open leaves a follow-up            OpenRefundOnlyAcknowledged
//	where the store forgot, the first follow-up goes on         FollowUpChainsForgotten
package explorer
