//! Pointsman: a TCP load balancer that is run over a message bus.
//! This page is the map. It must not hold code, only the list of modules.
//!
//! A program that only wants its own services balanced starts at [`control::Balancer`], and takes
//! this library without default features: `examples/embed.rs`.
//!
//! # Layout
//!
//! Each module may only import those above it that its line names; `tests/layering.rs` sees to it.
//!
//! - [`model`]: what the operator wants, as plain values. Pure; imports none.
//! - [`balance`]: which host takes a session: live counters, the view, the schedulers. Pure but for
//!   atomics; imports `model`.
//! - [`proxy`]: the data plane: accept, find a host, carry the bytes. Imports `model`, `balance`.
//! - [`health`]: asks hosts whether they can take sessions. Imports `model`.
//! - [`control`]: makes what runs match what is wanted. Imports `model`, `balance`, `proxy`.
#![cfg_attr(
    feature = "server",
    doc = "
- [`config`]: the configuration file, read with every problem at once. Imports `model`, `files`.
- [`files`]: ordinary files, read without waiting for anybody. Imports none.
- [`discovery`]: where the names of hosts lead. Imports none.
- [`stomp`]: a STOMP 1.2 client. Imports none.
- [`events`]: events out, from the journal to the bus. Imports `model`, `control`, `stomp`.
- [`cli`]: the command line: what can be typed, and what it exits with. Imports all; imported by
  the program only.
- [`app`]: the program: threads, balancer and signals, from start to exit. Imports all; imported
  by `cli` only.
"
)]
//! # The way of a connection
//!
//! 1. A [`Listener`](proxy::listener::Listener) is bound once; its
//!    [`Acceptors`](proxy::listener::Acceptors) accept from it on every [`Lane`](proxy::lane::Lane),
//!    which is a thread of the program's own ([`DataThreads`](proxy::threads::DataThreads)) or a
//!    task of an embedder's runtime. Both drive an event loop (`proxy/event_loop/`). The accept
//!    loop waits for nobody.
//! 2. An [`Entry`](balance::service::Entry) counts the connection in, or there are too many and it
//!    is reset. From here on it is a session, a task of its own on that lane (`proxy/session.rs`).
//! 3. The session loads the [`View`](balance::View) of its [`Service`](balance::Service): the hosts
//!    that may take sessions now, and their [`Scheduler`](balance::scheduler::Scheduler).
//!    [`View::acquire`](balance::View::acquire) picks one and counts it in the
//!    [`Lease`](balance::Lease), which gives back when dropped.
//! 4. It connects, to the host's [`Reach`](balance::reach::Reach): an address, or those of a name. Where that fails, the next try looks at the view anew, and passes over the hosts
//!    that were tried. What the client has sent meanwhile is kept.
//! 5. The relay (`proxy/relay.rs`) carries the bytes, by way of a flow for each direction
//!    (`proxy/flow.rs`): small messages through a buffer that the thread shares, bulk through
//!    pipes, the end of a direction and a reset passed on as what they are.
//! 6. Both sides are done, one broke, time ran out, or we were asked to close. The session leaves
//!    its histograms, its counters and, where wanted, a line of the access log.
//!
//! # The way of a change
//!
//! 1. Somebody wants another [`Topology`](model::topology::Topology): today the file at the start,
//!    or an embedder.
//! 2. [`Balancer::apply`](control::Balancer::apply) has [`check`](fn@model::check::check) look for
//!    everything that is wrong with it, purely.
//! 3. [`Runtime::prepare`](control::reconcile::Runtime::prepare) does all that the world can refuse,
//!    beside what runs and unseen: it binds what is new. Dropping what it returns undoes it.
//! 4. [`Runtime::commit`](control::reconcile::Runtime::commit) cannot fail: it swaps the views,
//!    accepts on what was bound, and stops to accept on what is no longer wanted. Open sessions go
//!    on, each with the host that it has; hosts that stay keep their counters.
//! 5. [`Balancer::status`](control::Balancer::status) shows what came of it.

#[cfg(feature = "server")]
pub mod app;
#[cfg(feature = "server")]
pub mod auth;
pub mod balance;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
pub mod control;
#[cfg(feature = "server")]
pub mod discovery;
#[cfg(feature = "server")]
pub mod doors;
#[cfg(feature = "server")]
pub mod events;
#[cfg(feature = "server")]
pub mod files;
pub mod health;
#[cfg(feature = "server")]
pub mod journal;
pub mod model;
pub mod proxy;
#[cfg(feature = "server")]
pub mod stomp;
