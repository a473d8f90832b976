//! Failures on demand: requests for memory, and the system calls behind them.
//!
//! Only tests, and builds with the feature `fault-injection`, have them; elsewhere the questions that the pool asks
//! here are constants, and cost nothing.

#[cfg(any(test, feature = "fault-injection"))]
mod on {
    use std::cell::Cell;
    use std::ops::Range;

    /// What fails in this thread, and what has been asked for since [`start`].
    #[derive(Clone, Debug, Default)]
    struct Plan {
        active: bool,
        requests: u64,
        calls: u64,
        failing_requests: Range<u64>,
        failing_calls: Range<u64>,
        failed: u64,
    }

    thread_local! {
        static PLAN: Cell<Plan> = const {
            Cell::new(Plan {
                active: false, requests: 0, calls: 0, failing_requests: 0..0, failing_calls: 0..0, failed: 0,
            })
        };
    }

    fn with<T>(change: impl FnOnce(&mut Plan) -> T) -> T {
        PLAN.with(|cell| {
            let mut plan = cell.take();
            let result = change(&mut plan);
            cell.set(plan);
            result
        })
    }

    /// What has been asked for between [`start`] and [`stop`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Counts {
        /// Requests for memory that no block at hand could serve; every one of them, for pools made since.
        pub requests: u64,
        /// System calls for memory.
        pub calls: u64,
        /// Requests and calls that failed on demand.
        pub failed: u64,
    }

    /// From here on pools made by this thread keep nothing at hand, so that each request takes the slow path, where
    /// it can fail. Counting starts at 0; nothing fails yet.
    pub fn start() {
        with(|plan| *plan = Plan { active: true, ..Plan::default() });
    }

    /// These requests will fail, by their numbers since [`start`].
    pub fn fail_requests(which: Range<u64>) {
        with(|plan| plan.failing_requests = which);
    }

    /// These system calls will fail, by their numbers since [`start`].
    pub fn fail_calls(which: Range<u64>) {
        with(|plan| plan.failing_calls = which);
    }

    /// What has been asked for so far.
    pub fn counts() -> Counts {
        with(|plan| Counts { requests: plan.requests, calls: plan.calls, failed: plan.failed })
    }

    /// Ends what [`start`] began.
    pub fn stop() -> Counts {
        let counts = counts();
        with(|plan| *plan = Plan::default());
        counts
    }

    pub(crate) fn every_request() -> bool {
        with(|plan| plan.active)
    }

    pub(crate) fn request_fails() -> bool {
        with(|plan| {
            let fails = plan.failing_requests.contains(&plan.requests);
            plan.requests += u64::from(plan.active);
            plan.failed += u64::from(fails);
            fails
        })
    }

    pub(crate) fn call_fails() -> bool {
        with(|plan| {
            let fails = plan.failing_calls.contains(&plan.calls);
            plan.calls += u64::from(plan.active);
            plan.failed += u64::from(fails);
            fails
        })
    }
}

#[cfg(not(any(test, feature = "fault-injection")))]
mod off {
    #[inline(always)]
    pub(crate) fn every_request() -> bool {
        false
    }

    #[inline(always)]
    pub(crate) fn request_fails() -> bool {
        false
    }

    #[inline(always)]
    pub(crate) fn call_fails() -> bool {
        false
    }
}

#[cfg(not(any(test, feature = "fault-injection")))]
pub(crate) use off::{call_fails, every_request, request_fails};
#[cfg(any(test, feature = "fault-injection"))]
pub use on::*;
