//! What the agent is called, and what it answers where it cannot do what it was asked.

/// The hidden command that the far side runs.
pub const AGENT_COMMAND: &str = "host-agent";

/// What the agent was asked for, or why it could not do it: one sentence for standard error.
pub type AgentResult<T> = std::io::Result<T>;
