//! Who runs where. What is measured has the first core to itself, and who measures it the second.

use std::thread;

use anyhow::{Result, anyhow};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where what is measured runs: servers, and loops over a store.
const MEASURED: usize = 0;
/// Where clients run.
const CLIENT: usize = 1;

/// Whether there is a core for each.
fn enough() -> bool {
    sched_getaffinity(None).is_ok_and(|cores| cores.is_set(MEASURED) && cores.is_set(CLIENT))
}

/// Moves this thread, and what it starts from now on, to one core, where there are two.
fn pin(core: usize) -> bool {
    let mut only = CpuSet::new();
    only.set(core);
    enough() && sched_setaffinity(None, &only).is_ok()
}

/// Moves this thread to where clients run; says whether that could be had.
pub(crate) fn pin_client() -> bool {
    pin(CLIENT)
}

/// Runs `work` where what is measured runs. A process that it starts stays there.
pub(crate) fn measured<T: Send>(pinned: bool, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let run = || {
        let mut all = CpuSet::new();
        (0..CpuSet::MAX_CPU).for_each(|core| all.set(core));
        // A thread begins where the one that made it is.
        sched_setaffinity(None, &all)?;
        if pinned {
            pin(MEASURED);
        }
        work()
    };
    thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|_| Err(anyhow!("a measured loop panicked"))))
}
