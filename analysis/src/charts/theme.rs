//! Sizes and colours that all charts share. Sizes are pixels at 300 DPI.

use plotters::prelude::RGBColor;

use super::canvas::{Look, Marker};

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

/// Okabe and Ito's palette, which people with any colour vision can tell apart, without black, which is for text and
/// axes; grey takes its place.
const PALETTE: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(240, 228, 66),
    RGBColor(140, 140, 140),
];

/// Backends that always have the same place in the palette, whatever else is shown.
const FIXED: [&str; 8] = [
    "skip_locked",
    "delete_returning",
    "partitioned",
    "valkey_streams",
    "batch_sql",
    "advisory_lock",
    "sqlite",
    "memory",
];

const MARKERS: [Marker; 4] = [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond];

/// Colours of the roles that spend CPU.
pub const SERVER: RGBColor = PALETTE[0];
/// The harness.
pub const HARNESS: RGBColor = PALETTE[1];
/// The background load.
pub const BACKGROUND: RGBColor = PALETTE[7];

/// Place in the palette of each of `backends`. Known ones keep theirs; others take what is left, and share it when there
/// are more backends than colours.
pub fn places(backends: &[&str]) -> Vec<usize> {
    let fixed = |backend: &str| FIXED.iter().position(|known| *known == backend);
    let mut taken: Vec<usize> = backends.iter().filter_map(|backend| fixed(backend)).collect();
    // The last colours of the palette are the least needed by known backends, so strangers begin there.
    let mut free: Vec<usize> = (0..PALETTE.len()).filter(|place| !taken.contains(place)).collect();
    let mut places = Vec::with_capacity(backends.len());
    let mut used_twice = Vec::new();
    for (index, backend) in backends.iter().enumerate() {
        let place = match fixed(backend) {
            // The same backend on two server products needs two colours.
            Some(place) if !used_twice.contains(&place) => {
                used_twice.push(place);
                place
            }
            _ => free.pop().unwrap_or(index % PALETTE.len()),
        };
        taken.push(place);
        places.push(place);
    }
    places
}

/// Colour of a place in the palette.
pub fn colour(place: usize) -> RGBColor {
    PALETTE[place % PALETTE.len()]
}

/// Point of a place in the palette: neighbours differ in shape too.
pub fn marker(place: usize) -> Marker {
    MARKERS[place % MARKERS.len()]
}

/// A pale version of a colour.
pub fn tint(colour: RGBColor) -> RGBColor {
    let pale = |channel: u8| 255 - (255 - channel) / 4;
    RGBColor(pale(colour.0), pale(colour.1), pale(colour.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_keeps_its_colour_whatever_else_is_shown() {
        assert_eq!(places(&["valkey_streams"]), [3]);
        assert_eq!(places(&["skip_locked", "external:x", "valkey_streams"])[2], 3);
    }

    #[test]
    fn eight_backends_have_eight_colours() {
        let mut places = places(&["skip_locked", "external:a", "external:b", "partitioned", "c", "d", "e", "sqlite"]);
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 8);
    }

    #[test]
    fn one_backend_on_two_products_has_two_colours() {
        let places = places(&["valkey_streams", "valkey_streams"]);
        assert_ne!(places[0], places[1]);
    }
}
