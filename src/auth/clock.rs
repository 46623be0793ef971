//! What time it is, as told by whoever builds the log-ins.
//! It must not wait.

use std::{
    fmt,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// A moment on both clocks: one that never goes back, and one that means something after a
/// restart.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For delays and ends within this process.
    pub at: Instant,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
}

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// A clock that tells what `tell` tells.
    pub fn new(tell: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// The machine's own.
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            let ms = since.unwrap_or_default().as_millis();
            Moment {
                at: Instant::now(),
                unix_ms: u64::try_from(ms).unwrap_or(u64::MAX),
            }
        })
    }

    /// Now.
    pub fn now(&self) -> Moment {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
