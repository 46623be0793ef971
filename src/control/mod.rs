//! What turns wishes into a running balancer: reconciles what is wanted with what runs.
//! It must not know how a wish came here.

pub mod balancer;
mod live;
pub mod reconcile;
pub mod status;

pub use balancer::Balancer;
