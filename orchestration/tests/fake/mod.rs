//! A stand-in for `qbench run`: a shell script that behaves as the backend's name says.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qbench_orchestration::{Cell, Error, MatrixOutcome, MatrixPlan, Progress, RunCommand, Survey, execute, survey};
use qbench_schema::files::RunFiles;
use qbench_schema::result::{
    Activity, Blame, Delivery, Durability, LoadMode, Regime, RunIdentity, RunResult, RunStatus, Validity,
};

/// Writes `$order` (a line per start) and, by backend: `good` a valid result; `doubtful` an invalid one and exit 3; `shaken` one
/// that the machine spoiled and then a valid one; `shaking` spoiled ones;
/// `refused` two lines and exit 1; `silent` nothing and exit 0; `killed` a `running` result and a SIGKILL to itself;
/// `broken` a `failed` result of its own and exit 1; `slow` waits to be interrupted and says so; `stubborn` waits and
/// cannot be interrupted.
const SCRIPT: &str = r#"#!/bin/bash
fake=$(dirname "$0")
block=0
if [ "$1" = calibrate ]; then
    echo "calibrate ${3#"$fake/out/"}" >> "$fake/order"
    [ -e "$fake/uncalibrated" ] || echo '{}' > "$3"
    exit 0
fi
while [ $# -gt 0 ]; do
    case $1 in
    --backend) backend=$2 ;;
    --scenario) scenario=$2 ;;
    --out) out=$2 ;;
    --block) block=$2 ;;
    esac
    shift
done
result="$out/${backend}_${scenario}_result.json"
echo "$block $backend $scenario" >> "$fake/order"
echo "{\"phase\":\"measured\",\"done_s\":1.0,\"total_s\":2.0}" >&2
case $backend in
good*) cp "$fake/valid.json" "$result"; echo rows > "$out/${backend}_${scenario}_system.csv" ;;
doubtful) cp "$fake/invalid.json" "$result"; exit 3 ;;
shaken)
    if [ -e "$fake/shaken" ]; then cp "$fake/valid.json" "$result"; else cp "$fake/spoiled.json" "$result"; fi
    touch "$fake/shaken" ;;
shaking) cp "$fake/spoiled.json" "$result"; exit 3 ;;
refused) echo 'cannot connect to the server' >&2; echo 'is it running?' >&2; exit 1 ;;
silent) exit 0 ;;
killed) cp "$fake/running.json" "$result"; kill -9 $$ ;;
broken) cp "$fake/failed.json" "$result"; echo noise >&2; exit 1 ;;
slow)
    trap 'cp "$fake/interrupted.json" "$result"; exit 1' INT
    cp "$fake/running.json" "$result"
    echo $$ > "$fake/pid"
    while true; do sleep 0.05; done ;;
stubborn)
    trap '' INT
    echo $$ > "$fake/pid"
    while true; do sleep 0.05; done ;;
esac
exit 0
"#;

/// A folder with the script, its verdicts, and an output folder.
pub struct Fake {
    folder: tempfile::TempDir,
    /// What was shown as progress.
    pub shown: Shown,
}

/// A writer that can be read afterwards.
#[derive(Clone, Default)]
pub struct Shown(Arc<Mutex<Vec<u8>>>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shown {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Fake {
    pub fn new() -> Self {
        let fake = Fake { folder: tempfile::tempdir().unwrap(), shown: Shown::default() };
        let write = |name: &str, result: &RunResult| {
            fs::write(fake.path(name), serde_json::to_vec(result).unwrap()).unwrap();
        };
        let result = |status, reason: &str| RunResult::without_figures(identity("any", "any"), status, reason);
        let valid = Validity { valid: true, ..Validity::default() };
        write("valid.json", &RunResult { validity: valid, ..result(RunStatus::Finished, "") });
        write("invalid.json", &result(RunStatus::Finished, "steal was 7 %"));
        let spoiled = Validity::of([(Blame::Host, "this host paused for 48 ms".to_owned())]);
        write("spoiled.json", &RunResult { validity: spoiled, ..result(RunStatus::Finished, "") });
        write("running.json", &RunResult { drain_s: 77.0, ..result(RunStatus::Running, "the run has not ended") });
        write("failed.json", &result(RunStatus::Failed, "the disk is full"));
        write("interrupted.json", &result(RunStatus::Interrupted, "stopped by the user"));
        fs::write(fake.program(), SCRIPT).unwrap();
        fs::set_permissions(fake.program(), fs::Permissions::from_mode(0o755)).unwrap();
        fake
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn program(&self) -> PathBuf {
        self.path("qbench")
    }

    pub fn out(&self) -> PathBuf {
        self.path("out")
    }

    pub fn plan(&self, backends: &[&str], scenarios: &[&str], blocks: u32) -> MatrixPlan {
        MatrixPlan::new(&cells(backends, scenarios), NonZeroU32::new(blocks).unwrap(), 1, &self.out()).unwrap()
    }

    pub fn survey(&self, plan: &MatrixPlan, resume: bool) -> Result<Survey, Error> {
        survey(plan, resume, &configuration("500"))
    }

    /// Runs what the survey leaves to do, on a runtime of its own.
    pub fn execute(&self, plan: &MatrixPlan, survey: &Survey) -> MatrixOutcome {
        self.execute_with(plan, survey, false)
    }

    pub fn execute_with(&self, plan: &MatrixPlan, survey: &Survey, calibrate: bool) -> MatrixOutcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let command = RunCommand {
            program: self.program(),
            arguments: vec!["--rate".into(), "500".into()],
            retries: 1,
            calibrate,
        };
        let mut progress = Progress::lines(Box::new(self.shown.clone()));
        runtime.block_on(execute(plan, survey, &command, &mut progress)).unwrap()
    }

    pub fn result(&self, run: &RunFiles) -> RunResult {
        serde_json::from_slice(&fs::read(run.result()).unwrap()).unwrap()
    }

    /// Lines that the script wrote when it started: `block backend scenario`.
    pub fn order(&self) -> Vec<String> {
        fs::read_to_string(self.path("order")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// The pid that a waiting script told.
    pub fn await_pid(folder: &Path) -> i32 {
        for _ in 0..1200 {
            if let Some(pid) = fs::read_to_string(folder.join("pid")).ok().and_then(|text| text.trim().parse().ok()) {
                return pid;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the script did not start within a minute");
    }
}

pub fn configuration(rate: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("rate".to_owned(), rate.to_owned()), ("profile".to_owned(), "quick".to_owned())])
}

pub fn cells(backends: &[&str], scenarios: &[&str]) -> Vec<Cell> {
    let cell = |backend: &&str, scenario: &&str| Cell {
        identity: identity(backend, scenario),
        scenario_argument: (*scenario).to_owned(),
        arguments: Vec::new(),
        estimate: Duration::from_secs(20),
    };
    backends.iter().flat_map(|backend| scenarios.iter().map(move |scenario| cell(backend, scenario))).collect()
}

fn identity(backend: &str, scenario: &str) -> RunIdentity {
    RunIdentity {
        run_id: String::new(),
        backend: backend.to_owned(),
        engine: "postgresql".to_owned(),
        queue_type: backend.to_owned(),
        scenario: scenario.to_owned(),
        profile: "quick".to_owned(),
        durability: Durability::D2,
        delivery: Delivery::AtLeastOnce,
        regime: Regime::Normal,
        utilisation: Some(0.25),
        mode: LoadMode::OpenLoop,
        activity: Activity::Both,
        host: "here".to_owned(),
        configuration_hash: "1f2e3d4c".to_owned(),
        configuration: "rate=500".to_owned(),
        variant: None,
        block: 0,
        started_at: String::new(),
        measured_s: 10.0,
        offered_jobs_s: 500.0,
        ..RunIdentity::default()
    }
}
