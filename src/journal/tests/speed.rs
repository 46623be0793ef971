//! How many changes a second the journal bears on this disk: prints it, and asserts no more than
//! that it is not absurd.
//! It must not be taken for a benchmark: other tests run beside it.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn changes_a_second_with_a_thousand_hosts() {
    let made: Vec<_> = (0..640).map(|n| entry(n + 1, 1000)).collect();
    for batch in [1, 16] {
        let dir = Dir::new();
        let mut journal = dir.open();
        let (mut done, mut slowest) = (0, Duration::ZERO);
        let start = Instant::now();
        for entries in made.chunks(batch) {
            let before = Instant::now();
            journal.record(entries).unwrap();
            slowest = slowest.max(before.elapsed());
            done += entries.len();
            if start.elapsed() > Duration::from_secs(3) {
                break;
            }
        }
        let rate = done as f64 / start.elapsed().as_secs_f64();
        println!("{batch} a batch: {rate:.0} changes a second, the slowest call took {slowest:?}");
        assert!(rate > 1.0);
    }
}
