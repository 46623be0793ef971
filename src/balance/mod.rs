//! Which host takes a session: live counters, the view that sessions look at, the schedulers.
//! It must not know sockets, clocks or configuration files; time and chance are arguments.

pub mod admission;
pub mod closing;
pub mod counters;
pub mod histogram;
pub mod host;
pub mod opening;
pub mod portion;
pub mod ranking;
pub mod reach;
pub mod scheduler;
pub mod service;
pub mod shedding;
pub mod view;

pub use host::{Candidate, Host, Lease};
pub use service::Service;
pub use view::{NoHost, View};
