//! The program `qbench`.

fn main() -> std::process::ExitCode {
    qbench_harness::cli::main(env!("QBENCH_REVISION"))
}
