//! The vocabulary of kstate: data and positions, low chunks, the graph, questions and operations, and the run of one
//! host and of many. Nothing here reads a file, opens a connection or knows YAML.

pub mod arguments;
mod call;
mod chunk;
mod clock;
pub mod command;
pub mod conditions;
mod content;
mod digest;
mod event;
mod facts;
mod fleet;
mod graph;
mod hands;
mod hold;
pub mod kept;
mod map;
pub mod names;
mod needs;
mod node;
mod operation;
mod place;
mod position;
mod prediction;
mod problem;
mod purpose;
pub mod question;
mod report;
mod resource;
mod run;
mod secrets;
mod sources;
mod step;
pub mod suspicion;
pub mod touch;
mod transport;
mod value;
mod ways;
pub mod words;

pub use arguments::arguments;
pub use call::Call;
pub use chunk::Chunk;
pub use clock::{Clock, MachineClock};
pub use command::Command;
pub use conditions::Conditions;
pub use content::Content;
pub use digest::digest;
pub use event::{Event, Sink};
pub use facts::{Facts, Stop};
pub use fleet::side_by_side;
pub use graph::{Flaws, Graph, Requisite, RequisiteKind, Unlinked, Unmet, distance, fnmatch, nearest};
pub use hands::each_below;
pub use hold::Hold;
pub use map::Map;
pub use node::{Data, Node};
pub use operation::{Attributes, Durable, Operation, Parents, Run, Write};
pub use place::Place;
pub use position::{Position, Via};
pub use prediction::Prediction;
pub use problem::{Problem, Severity, Unwritten};
pub use purpose::Purpose;
pub use question::Question;
pub use report::{HostReport, Outcome, Printed, StateReport};
pub use resource::{Bracket, Claim, Due, Resource};
pub use run::{Again, HostRun, Plan, Planned};
pub use secrets::{MASK, Secrets, is_plain};
pub use sources::{SourceEntry, SourceError, SourceKind, Sources};
pub use step::{Change, Step};
pub use touch::Touch;
pub use transport::{
    Connect, ConnectError, ExchangeCause, ExchangeError, Gap, Interrupt, Job, Keep, Lack, Limit, Omitted,
    Output, Reply, Traffic, Transport,
};
pub use value::{Value, integer};
