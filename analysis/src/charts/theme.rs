//! Sizes, colours and shapes that all charts share. Sizes are pixels at 300 DPI.

use plotters::prelude::RGBColor;

use crate::palette::Palette;

/// Size of a picture: ten by six inches.
pub const SIZE: (u32, u32) = (3000, 1800);
/// White around everything.
pub const MARGIN: f64 = 80.0;

/// Background.
pub const PAPER: RGBColor = RGBColor(255, 255, 255);
/// Text and axes.
pub const INK: RGBColor = RGBColor(34, 34, 34);
/// Secondary text.
pub const FAINT: RGBColor = RGBColor(105, 105, 105);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(222, 222, 222);
/// Behind cells without data.
pub const EMPTY: RGBColor = RGBColor(245, 245, 245);
/// Warnings.
pub const WARN: RGBColor = RGBColor(176, 0, 32);

/// The middle of capitals lies this share of the font size below the point at which plotters begins to draw text: its
/// `ab_glyph` backend puts the baseline at half the size, and capitals of DejaVu Sans are 0.626 of the size high.
pub const TEXT_RISE: f64 = 0.5 - 0.626 / 2.0;

/// Where text stands relative to its position, horizontally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// The position is its left end.
    Left,
    /// The position is its middle.
    Centre,
    /// The position is its right end.
    Right,
}

/// How text looks. Its vertical position is always the middle of its capitals.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Height of the font in pixels.
    pub size: f64,
    /// Colour.
    pub colour: RGBColor,
    /// Heavier strokes.
    pub bold: bool,
    /// Horizontal place.
    pub align: Align,
}

impl Look {
    /// Regular text that begins at its position.
    pub const fn new(size: f64) -> Self {
        Look { size, colour: INK, bold: false, align: Align::Left }
    }

    /// The same, heavier.
    pub const fn bold(self) -> Self {
        Look { bold: true, ..self }
    }

    /// The same, elsewhere.
    pub const fn align(self, align: Align) -> Self {
        Look { align, ..self }
    }

    /// The same in another colour.
    pub const fn colour(self, colour: RGBColor) -> Self {
        Look { colour, ..self }
    }
}

/// Shape of a point on a line chart, so that lines can be told apart without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// ●
    Circle,
    /// ■
    Square,
    /// ▲
    Triangle,
    /// ◆
    Diamond,
}

/// Heading of a picture.
pub const TITLE: Look = Look::new(84.0).bold();
/// Line below the heading.
pub const SUBTITLE: Look = Look::new(48.0).colour(FAINT);
/// Heading of a panel.
pub const PANEL: Look = Look::new(56.0).bold();
/// Names and figures.
pub const LABEL: Look = Look::new(46.0);
/// Ticks, axis titles and notes.
pub const SMALL: Look = Look::new(40.0).colour(FAINT);

/// Colours for backends that have none of their own, and for a second series of one that has: Paul Tol's muted scheme, which
/// people with any colour vision can tell apart. None of them is a grey, which is for what is not valid.
const SPARE: [RGBColor; 8] = [
    RGBColor(51, 34, 136),
    RGBColor(68, 170, 153),
    RGBColor(204, 102, 119),
    RGBColor(153, 153, 51),
    RGBColor(136, 204, 238),
    RGBColor(170, 68, 153),
    RGBColor(17, 119, 51),
    RGBColor(221, 204, 119),
];

const MARKERS: [Marker; 4] = [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond];

/// Colours of the roles that spend CPU. The server under test.
pub const SERVER: RGBColor = RGBColor(0, 114, 178);
/// The harness.
pub const HARNESS: RGBColor = RGBColor(230, 159, 0);
/// The background load.
pub const BACKGROUND: RGBColor = RGBColor(140, 140, 140);
/// The kernel, on behalf of all of them.
pub const KERNEL: RGBColor = RGBColor(204, 121, 167);
/// The meters of hiccups.
pub const METER: RGBColor = RGBColor(240, 228, 66);

/// How a series is told apart: by colour, and in line charts also by the shape of its points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paint {
    /// Colour.
    pub colour: RGBColor,
    /// Point; series beside each other differ in shape too.
    pub marker: Marker,
}

/// The paint of each of `backends`. A backend with a colour of its own keeps it, whatever else is shown; a second series of the
/// same backend, and strangers, take spare ones, and share them when there are more of them than colours.
pub fn paints(palette: &Palette, backends: &[&str]) -> Vec<Paint> {
    let mut spare = SPARE.iter().cycle();
    let mut colour = |index: usize, backend: &str| {
        let is_first = !backends[..index].contains(&backend);
        match palette.style(backend).and_then(|style| style.colour).filter(|_| is_first) {
            Some([red, green, blue]) => RGBColor(red, green, blue),
            None => *spare.next().unwrap_or(&INK),
        }
    };
    let paint = |(index, backend): (usize, &&str)| Paint {
        colour: colour(index, backend),
        marker: MARKERS[index % MARKERS.len()],
    };
    backends.iter().enumerate().map(paint).collect()
}

/// A pale version of a colour.
pub fn tint(colour: RGBColor) -> RGBColor {
    let pale = |channel: u8| 255 - (255 - channel) / 4;
    RGBColor(pale(colour.0), pale(colour.1), pale(colour.2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::BackendStyle;

    fn palette() -> Palette {
        let style = |id: &str, colour| BackendStyle { id: id.into(), engine: "valkey".into(), colour: Some(colour) };
        Palette::new([style("rows", [0, 114, 178]), style("streams", [213, 94, 0])])
    }

    fn colours(backends: &[&str]) -> Vec<RGBColor> {
        paints(&palette(), backends).iter().map(|paint| paint.colour).collect()
    }

    #[test]
    fn a_backend_keeps_its_colour_whatever_else_is_shown() {
        assert_eq!(colours(&["streams"]), [RGBColor(213, 94, 0)]);
        assert_eq!(colours(&["rows", "external:x", "streams"])[2], RGBColor(213, 94, 0));
    }

    #[test]
    fn ten_series_have_ten_colours_and_none_of_them_is_the_grey_of_what_is_not_valid() {
        let strangers = ["a", "b", "c", "d", "e", "f", "g"];
        let mut seen: Vec<RGBColor> = Vec::new();
        for colour in colours(&[&["rows", "streams", "streams"][..], &strangers].concat()) {
            assert!(!seen.contains(&colour), "{colour:?} twice");
            assert!(colour.0 != colour.1 || colour.1 != colour.2, "{colour:?} is a grey");
            seen.push(colour);
        }
        assert_eq!(seen.len(), 10);
    }
}
