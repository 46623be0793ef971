//! What turns wishes into a running balancer: reconciles what is wanted with what runs.
//! It must not know how a wish came here.

pub mod answer;
mod answering;
mod audit_log;
pub mod balancer;
mod beginning;
mod binding;
pub mod cloud_event;
pub mod controller;
mod explain;
pub(crate) mod fault;
mod file_write;
mod flips;
mod following;
mod handing_over;
pub mod handle;
mod jobs;
mod kept;
mod listening;
mod live;
mod outcome;
pub mod outside;
mod pipeline;
mod prepare;
mod query;
pub mod reconcile;
pub mod record;
mod recording;
mod running;
mod spread;
mod stand_in;
pub mod status;
mod status_json;
pub mod succession;
pub mod tally;
mod terms;
mod watch;

pub use balancer::Balancer;
pub use handle::Control;
