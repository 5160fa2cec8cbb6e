//! Priorities that keep the harness from being what is measured: beside a closed-loop load on few cores, a generator of
//! ordinary priority measures the scheduler's queue. Each step says in a sentence whether the system allowed it.

use nix::libc;

/// Nice value asked for the harness; children are put back to 0.
const HARNESS_NICE: i32 = -10;

/// Raises the priority of this process before it starts threads. Returns what came of it, for the manifest.
pub fn raise_process() -> String {
    // SAFETY: setpriority takes plain integers and touches no memory of ours.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, HARNESS_NICE) } == 0;
    if done {
        format!("harness threads run at nice {HARNESS_NICE}; servers and background load at nice 0")
    } else {
        format!("harness threads run at nice 0: the system refused nice {HARNESS_NICE} ({})", last_error())
    }
}

/// Gives the calling thread the lowest real-time priority and exact timers. It sleeps nearly always, so it cannot starve
/// anybody. Returns whether it has real-time priority; [`pacer_priority`] says why not.
pub fn make_pacer_thread() -> bool {
    exact_timers();
    // SAFETY: a struct that lives across the call.
    unsafe { set_fifo() }
}

/// Gives the calling thread exact timers: by default the kernel may wake it up 50 us late, to serve two sleepers at once.
pub fn exact_timers() {
    // SAFETY: prctl takes plain integers here and touches no memory of ours.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0);
    }
}

/// Whether threads may have real-time priority, as a sentence for the manifest. Tries it on a thread that ends at once.
pub fn pacer_priority() -> String {
    // SAFETY: as in `make_pacer_thread`.
    let tried = std::thread::spawn(|| unsafe { if set_fifo() { Ok(()) } else { Err(last_error()) } }).join();
    match tried {
        Ok(Ok(())) => "the pacing thread runs under SCHED_FIFO, priority 1, timer slack 1 ns".to_owned(),
        Ok(Err(reason)) => {
            format!("the pacing thread runs at the harness's priority: the system refused SCHED_FIFO ({reason})")
        }
        Err(_) => "the pacing thread's priority is not known".to_owned(),
    }
}

/// # Safety
/// None beyond the call itself: the struct outlives it.
unsafe fn set_fifo() -> bool {
    let parameter = libc::sched_param { sched_priority: 1 };
    // SAFETY: pid 0 is the calling thread; the pointer is valid for the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &parameter) == 0 }
}

fn last_error() -> String {
    std::io::Error::last_os_error().to_string()
}
