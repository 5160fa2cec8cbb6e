//! Who the program on the other side is.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::connection::Connection;
use super::super::error::Result;
use super::super::file::Host;
use super::command::{AGENT_COMMAND, AgentResult};

/// This program, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version and git revision.
    pub program: String,
    /// What it was built for.
    pub architecture: String,
    /// SHA-256 of its file.
    pub sha256: String,
}

/// What this very program is.
///
/// # Errors
/// When its own file cannot be read.
pub fn hello(program: &str) -> AgentResult<Hello> {
    Ok(Hello {
        program: program.to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        sha256: sha256_of(&std::env::current_exe()?)?,
    })
}

impl Hello {
    /// Asks the program on `host`; `None` where there is none, or one that is too old to be asked.
    ///
    /// # Errors
    /// [`super::super::Error::Lost`].
    pub async fn ask(host: &Host, connection: &Connection) -> Result<Option<Hello>> {
        Self::ask_at(&host.program(), connection).await
    }

    /// The same of a file that is not yet in its place.
    ///
    /// # Errors
    /// [`super::super::Error::Lost`].
    pub async fn ask_at(program: &str, connection: &Connection) -> Result<Option<Hello>> {
        let said = connection.run(program, &[AGENT_COMMAND, "hello"], b"").await?;
        if said.status != 0 {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&said.output).ok())
    }

    /// Why a matrix of this program cannot be made by `there`; nothing where it can.
    pub fn refuses(&self, there: Option<&Hello>) -> Option<String> {
        const PREPARE: &str = "qbench hosts prepare brings this one there";
        let Some(there) = there else { return Some(format!("this program is not there: {PREPARE}")) };
        if there.architecture != self.architecture {
            return Some(format!(
                "it is of another architecture, {} and not {}: queues on two architectures are not compared as on identical hosts",
                there.architecture, self.architecture
            ));
        }
        if there.program != self.program {
            return Some(format!("another qbench is there, {} and not {}: {PREPARE}", there.program, self.program));
        }
        // One that was built there of the same sources is the same program in another file; of sources that were changed nobody knows which.
        let is_known = !self.program.contains("dirty") && !self.program.contains("unknown");
        (there.sha256 != self.sha256 && !is_known).then(|| {
            format!("a qbench of other sources is there, though both call themselves {}: {PREPARE}", self.program)
        })
    }
}

/// SHA-256 of a file, as hexadecimal digits.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: &str, architecture: &str, sha256: &str) -> Hello {
        Hello { program: program.to_owned(), architecture: architecture.to_owned(), sha256: sha256.to_owned() }
    }

    #[test]
    fn only_the_same_program_makes_a_matrix_of_ours() {
        let ours = of("0.1.0 (abc)", "x86_64", "1");
        assert_eq!(ours.refuses(Some(&ours)), None);
        assert_eq!(ours.refuses(Some(&of("0.1.0 (abc)", "x86_64", "2"))), None, "built there of the same sources");
        for (there, words) in [
            (None, "is not there"),
            (Some(of("0.1.0 (abb)", "x86_64", "1")), "0.1.0 (abb) and not 0.1.0 (abc)"),
            (Some(of("0.1.0 (abc)", "aarch64", "1")), "aarch64 and not x86_64"),
        ] {
            let reason = ours.refuses(there.as_ref()).unwrap();
            assert!(reason.contains(words), "{reason}");
        }
        let dirty = of("0.1.0 (abc-dirty)", "x86_64", "1");
        let reason = dirty.refuses(Some(&of("0.1.0 (abc-dirty)", "x86_64", "2"))).unwrap();
        assert!(reason.contains("other sources"), "{reason}");
    }

    #[test]
    fn the_sum_is_that_of_the_standard() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        // FIPS 180-4, example of one block.
        assert_eq!(sha256_of(file.path()).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
