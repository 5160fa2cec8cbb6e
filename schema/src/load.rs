//! Words of a load, which settings, driver and backends have in common.

/// How intended instants are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrivals {
    /// Equal gaps: one every `1 / rate`.
    Constant,
    /// Independent exponential gaps of mean `1 / rate`, from the seed: a Poisson process, the same one for every backend of a
    /// block.
    Poisson,
}

impl Arrivals {
    /// Every way.
    pub const ALL: [Arrivals; 2] = [Arrivals::Constant, Arrivals::Poisson];

    /// The command line's word.
    pub fn name(self) -> &'static str {
        match self {
            Arrivals::Constant => "constant",
            Arrivals::Poisson => "poisson",
        }
    }
}

/// How a worker learns that there is work. Whether a backend can do so is the backend's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wake {
    /// Asks again after an interval.
    Poll,
    /// Is told by a notification (LISTEN / NOTIFY), with polling as the fallback.
    Notify,
    /// Waits inside the claim command, on the server (XREADGROUP BLOCK) or in process.
    Block,
}

impl Wake {
    /// Every way.
    pub const ALL: [Wake; 3] = [Wake::Poll, Wake::Notify, Wake::Block];

    /// The command line's word.
    pub fn name(self) -> &'static str {
        match self {
            Wake::Poll => "poll",
            Wake::Notify => "notify",
            Wake::Block => "block",
        }
    }
}
