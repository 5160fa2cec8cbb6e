//! That every picture is drawn, in the promised size and resolution, whatever the results look like.
//!
//! Whether a picture is good to look at is for eyes; that it holds something, and that what is missing is said instead
//! of left out, is held here.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{QUICK, Run, SCENARIOS, write_matrix};
use qbench_analysis::charts::NAMES;
use qbench_analysis::{Asked, analyze, graph};
use qbench_schema::result::CpuPct;

/// A decoded picture.
struct Picture {
    width: u32,
    height: u32,
    dpi: f64,
    /// Share of pixels that are not white.
    ink: f64,
    pixels: Vec<u8>,
}

fn read_picture(path: &Path) -> Picture {
    let decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    let info = reader.info();
    let dims = info.pixel_dims.unwrap();
    assert!(matches!(dims.unit, png::Unit::Meter));
    assert_eq!(dims.xppu, dims.yppu);
    let inked = pixels.chunks_exact(3).filter(|pixel| *pixel != [255, 255, 255]).count();
    Picture {
        width: info.width,
        height: info.height,
        dpi: f64::from(dims.xppu) * 0.0254,
        ink: inked as f64 / (pixels.len() / 3) as f64,
        pixels,
    }
}

/// Analyzes, draws and checks what holds for every picture; returns them in the order of [`NAMES`].
fn draw(write: impl FnOnce(&Path), change_analysis: impl FnOnce(&Path)) -> Vec<Picture> {
    let folder = tempfile::tempdir().unwrap();
    let (results, analysis, graphs) =
        (folder.path().join("results"), folder.path().join("analysis"), folder.path().join("graphs"));
    write(&results);
    analyze(&[results], &analysis, &Asked::default(), &common::palette()).unwrap();
    change_analysis(&analysis);
    let written = graph(&analysis.join("summary.csv"), &graphs, &common::palette()).unwrap();
    assert_eq!(written, NAMES.map(|name| graphs.join(format!("{name}.png"))));
    assert_eq!(fs::read_dir(&graphs).unwrap().count(), NAMES.len(), "no temporary file stays behind");
    let pictures: Vec<Picture> = written.iter().map(|path| read_picture(path)).collect();
    for (name, picture) in NAMES.iter().zip(&pictures) {
        assert_eq!((picture.width, picture.height), (3000, 1800), "{name}");
        assert!((picture.dpi - 300.0).abs() < 0.1, "{name}: {} dpi", picture.dpi);
        assert!(picture.ink > 0.01, "{name} is almost empty");
        let is_clean = |pixel: (u32, u32)| {
            let at = ((pixel.1 * picture.width + pixel.0) * 3) as usize;
            picture.pixels[at..at + 3] == [255, 255, 255]
        };
        // Nothing may run out of the picture.
        assert!((0..picture.width).all(|x| is_clean((x, 0)) && is_clean((x, picture.height - 1))), "{name}");
        assert!((0..picture.height).all(|y| is_clean((0, y)) && is_clean((picture.width - 1, y))), "{name}");
    }
    pictures
}

fn unchanged(_: &Path) {}

#[test]
fn the_quick_matrix_is_drawn_at_300_dpi() {
    draw(write_matrix, unchanged);
}

#[test]
fn one_cell_is_enough_for_every_picture() {
    draw(|dir| Run::new("skip_locked", "warm").write(dir), unchanged);
}

#[test]
fn one_scenario_or_one_backend_is_enough() {
    draw(|dir| QUICK.iter().for_each(|(backend, ..)| Run::new(backend, "warm").write(dir)), unchanged);
    draw(|dir| SCENARIOS.iter().for_each(|(scenario, _)| Run::new("valkey_streams", scenario).write(dir)), unchanged);
}

#[test]
fn eight_backends_with_long_names_and_a_wide_range_stay_within_the_picture() {
    let backends = [
        "skip_locked",
        "delete_returning",
        "partitioned",
        "batch_sql",
        "advisory_lock",
        "valkey_streams",
        "external:a-library-with-a-rather-long-name",
        "sqlite",
    ];
    draw(
        |dir| {
            for (scenario, _) in SCENARIOS {
                for (index, backend) in backends.iter().enumerate() {
                    let mut run = Run::new(backend, scenario);
                    run.wait_ms *= 4_f64.powi(index as i32);
                    run.write(dir);
                }
            }
        },
        unchanged,
    );
}

#[test]
fn invalid_failed_and_overloaded_runs_and_unknown_roles_are_drawn() {
    let pictures = draw(
        |dir| {
            write_matrix(dir);
            let long = "reason ".repeat(80);
            Run::new("partitioned", "load").invalid(&long).write(dir);
            Run::new("delete_returning", "cold").failed(&long).write(dir);
            Run::new("skip_locked", "load").overloaded().write(dir);
            Run::new("valkey_streams", "warm").with(|result| result.cpu_pct = CpuPct::default()).write(dir);
        },
        unchanged,
    );
    let sound = draw(write_matrix, unchanged);
    for ((name, picture), sound) in NAMES.iter().zip(&pictures).zip(&sound) {
        assert!(picture.pixels != sound.pixels, "{name} looks as if nothing had happened");
    }
}

#[test]
fn nothing_but_failed_runs_still_makes_pictures() {
    draw(|dir| Run::new("skip_locked", "warm").failed("no server").write(dir), unchanged);
}

#[test]
fn summary_csv_alone_is_enough_and_the_box_plots_differ_from_those_with_quantiles() {
    let distribution = NAMES.iter().position(|name| *name == "latency_distribution").unwrap();
    let without = draw(write_matrix, |analysis| fs::remove_file(analysis.join("distribution.csv")).unwrap());
    let with = draw(write_matrix, unchanged);
    for (index, name) in NAMES.iter().enumerate() {
        assert_eq!(without[index].pixels != with[index].pixels, index == distribution, "{name}");
    }
}

#[test]
fn the_same_results_make_the_same_picture() {
    let (first, second) = (draw(write_matrix, unchanged), draw(write_matrix, unchanged));
    assert!(first.iter().zip(&second).all(|(first, second)| first.pixels == second.pixels));
}

#[test]
fn a_file_that_is_no_summary_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let graphs = folder.path().join("graphs");
    let summary = folder.path().join("summary.csv");
    let refused = |content: Option<&str>| {
        if let Some(content) = content {
            fs::write(&summary, content).unwrap();
        }
        graph(&summary, &graphs, &common::palette()).unwrap_err().to_string()
    };
    assert!(refused(None).contains("there is no such file; `qbench analyze` writes it"));
    assert!(refused(Some("")).contains("it has no rows"));
    assert!(refused(Some("a,b\n1,2\n")).contains("it is not what `qbench analyze` writes"));
    assert!(!graphs.exists());
}
