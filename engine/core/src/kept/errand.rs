//! The reads and writes of records as data, for a host in memory.

use crate::{Operation, Run};

/// One read or write of what a host keeps. What all of them write is told as the fields of a record, without `since`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Writes down a refresh that a state owes, unless it is there.
    Owe { file: String, fields: String },
    /// Strikes it off.
    Strike { file: String },
    /// Writes down what brings back what a bracket takes away, and starts the watchdog.
    Enter { run: String, number: u32, fields: String, restore: String },
    /// Takes something away in a bracket that is still open.
    TakeAway { run: String, number: u32, operation: Box<Operation> },
    /// Says that a run lives which has brackets open.
    BeatBrackets { run: String },
    /// Brings back what the brackets of a run have taken away, down to a number.
    Leave { run: String, from: u32 },
    /// Starts a command apart from the connection, once.
    Start { id: String, fields: String, run: Box<Run> },
    /// Says that the result of a job has been reported.
    See { id: String },
    /// Waits for news of a job, at most so many seconds.
    Follow { id: String, offset: u64, wait: u32 },
    /// Waits until nothing runs below the held shells of a lost connection.
    AwaitEnd,
    /// Takes the token of the host, or says again that the run has it.
    TakeToken { owner: String, run: String, fields: String },
    /// Says that the run lives which has the token.
    BeatToken { run: String },
    /// Gives the token back.
    GiveBackToken { run: String },
}
