//! The vocabulary of kstate: data and positions, low chunks, the graph, questions and operations, and the run of one
//! host and of many. Nothing here reads a file, opens a connection or knows YAML.

mod call;
mod chunk;
mod node;
mod position;
mod problem;
mod sources;
mod transport;
mod value;

pub use call::Call;
pub use chunk::Chunk;
pub use node::{Data, Node};
pub use position::Position;
pub use problem::{Problem, Severity};
pub use sources::{SourceEntry, SourceError, SourceKind, Sources};
pub use transport::{
    Connect, ConnectError, ExchangeCause, ExchangeError, Interrupt, Job, Output, Reply, Traffic, Transport,
};
pub use value::{Map, Value};
