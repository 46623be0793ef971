//! What turns wishes into a running balancer: reconciles what is wanted with what runs.
//! It must not know how a wish came here.

pub mod answer;
pub mod balancer;
pub mod cloud_event;
pub mod handle;
mod live;
pub mod reconcile;
pub mod record;
mod stand_in;
pub mod status;

pub use balancer::Balancer;
pub use handle::Control;
