//! A white picture to draw on, in pixels, and its encoding as a PNG of 300 DPI.
//!
//! The charts place every mark themselves instead of using plotters' chart builder: grouped bars, hatching, missing
//! cells and labels that must not overlap all need exact pixels.

use std::sync::OnceLock;

use plotters::backend::BitMapBackend;
use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{DrawingArea, IntoDrawingArea, RGBColor};
use plotters::style::{Color, FontStyle, FontTransform, IntoFont, ShapeStyle, register_font};
use png::{BitDepth, ColorType, Compression, Encoder, PixelDimensions, Unit};

use super::theme::{self, Align, Look, Marker};

/// 300 dots per inch, in the unit of the PNG `pHYs` chunk.
const PIXELS_PER_METRE: u32 = 11_811;
/// Name under which the embedded font is registered.
const FONT: &str = "DejaVu Sans";

/// Why something could not be drawn, in the words of the library.
#[derive(Debug)]
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.to_string())
    }
}

/// Result of drawing.
pub type Drawn<T = ()> = Result<T, Failure>;

/// A rectangle in pixels; y grows downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x0: f64,
    /// Upper edge.
    pub y0: f64,
    /// Right edge.
    pub x1: f64,
    /// Lower edge.
    pub y1: f64,
}

impl Rect {
    /// From its edges.
    pub fn new(x0: f64, y0: f64, x1: f64, y1: f64) -> Self {
        Rect { x0, y0, x1, y1 }
    }

    /// Width.
    pub fn width(&self) -> f64 {
        self.x1 - self.x0
    }

    /// Height.
    pub fn height(&self) -> f64 {
        self.y1 - self.y0
    }

    /// Horizontal centre.
    pub fn centre_x(&self) -> f64 {
        (self.x0 + self.x1) / 2.0
    }

    /// Vertical centre.
    pub fn centre_y(&self) -> f64 {
        (self.y0 + self.y1) / 2.0
    }

    /// Without the given strips.
    pub fn inset(&self, left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Rect::new(self.x0 + left, self.y0 + top, self.x1 - right, self.y1 - bottom)
    }

    /// Its middle, where it is higher than `height`.
    pub fn at_most_high(&self, height: f64) -> Self {
        let half = self.height().min(height) / 2.0;
        Rect { y0: self.centre_y() - half, y1: self.centre_y() + half, ..*self }
    }

    /// `count` columns of equal width with `gap` between them.
    pub fn columns(&self, count: usize, gap: f64) -> Vec<Rect> {
        let width = (self.width() - gap * (count as f64 - 1.0)) / count as f64;
        let left = |index: usize| self.x0 + index as f64 * (width + gap);
        (0..count).map(|index| Rect { x0: left(index), x1: left(index) + width, ..*self }).collect()
    }

    /// `count` rows of equal height with `gap` between them.
    pub fn rows(&self, count: usize, gap: f64) -> Vec<Rect> {
        let height = (self.height() - gap * (count as f64 - 1.0)) / count as f64;
        let top = |index: usize| self.y0 + index as f64 * (height + gap);
        (0..count).map(|index| Rect { y0: top(index), y1: top(index) + height, ..*self }).collect()
    }
}

/// The picture.
pub struct Canvas<'a> {
    area: DrawingArea<BitMapBackend<'a>, Shift>,
}

impl Canvas<'_> {
    /// Text at a position.
    pub fn text(&self, x: f64, y: f64, text: &str, look: Look) -> Drawn {
        let shift = match look.align {
            Align::Left => 0.0,
            Align::Centre => self.text_width(text, look)? / 2.0,
            Align::Right => self.text_width(text, look)?,
        };
        self.put_text((x - shift, y - look.size * theme::TEXT_RISE), text, look, FontTransform::None)
    }

    /// Text that reads upwards, centred at a position.
    pub fn text_upwards(&self, x: f64, y: f64, text: &str, look: Look) -> Drawn {
        let half = self.text_width(text, look)? / 2.0;
        self.put_text((x - look.size * theme::TEXT_RISE, y + half), text, look, FontTransform::Rotate270)
    }

    fn put_text(&self, (x, y): (f64, f64), text: &str, look: Look, transform: FontTransform) -> Drawn {
        let style = if look.bold { FontStyle::Bold } else { FontStyle::Normal };
        let font = (FONT, look.size, style).into_font().transform(transform).color(&look.colour);
        Ok(self.area.draw(&Text::new(text.to_owned(), pixel((x, y)), font))?)
    }

    /// Width of text in pixels.
    pub fn text_width(&self, text: &str, look: Look) -> Drawn<f64> {
        let style = if look.bold { FontStyle::Bold } else { FontStyle::Normal };
        let (width, _) = (FONT, look.size, style).into_font().box_size(text)?;
        Ok(f64::from(width))
    }

    /// Width of the widest of several texts.
    pub fn widest<'t>(&self, texts: impl IntoIterator<Item = &'t str>, look: Look) -> Drawn<f64> {
        texts.into_iter().try_fold(0.0_f64, |widest, text| Ok(widest.max(self.text_width(text, look)?)))
    }

    /// `text`, shortened with an ellipsis where it is wider than `width`.
    pub fn fitted(&self, text: &str, look: Look, width: f64) -> Drawn<String> {
        if self.text_width(text, look)? <= width {
            return Ok(text.to_owned());
        }
        let mut kept: String = text.to_owned();
        while kept.pop().is_some() {
            let shortened = format!("{}…", kept.trim_end());
            if self.text_width(&shortened, look)? <= width {
                return Ok(shortened);
            }
        }
        Ok(String::new())
    }

    /// A filled rectangle.
    pub fn fill(&self, rect: Rect, colour: RGBColor) -> Drawn {
        Ok(self.area.draw(&Rectangle::new(corners(rect), colour.filled()))?)
    }

    /// The edges of a rectangle.
    pub fn outline(&self, rect: Rect, colour: RGBColor, width: u32) -> Drawn {
        let Rect { x0, y0, x1, y1 } = rect;
        self.line(&[(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], colour, width)
    }

    /// Diagonal lines within a rectangle.
    pub fn hatch(&self, rect: Rect, colour: RGBColor, spacing: f64) -> Drawn {
        let Rect { x0, y0, x1, y1 } = rect;
        let mut offset = spacing / 2.0;
        // A line runs from the left or lower edge up to the upper or right one; `offset` is x + y from the upper left.
        while offset < rect.width() + rect.height() {
            let from = if offset <= rect.height() { (x0, y0 + offset) } else { (x0 + offset - rect.height(), y1) };
            let to = if offset <= rect.width() { (x0 + offset, y0) } else { (x1, y0 + offset - rect.width()) };
            self.line(&[from, to], colour, 3)?;
            offset += spacing;
        }
        Ok(())
    }

    /// A line through points.
    pub fn line(&self, points: &[(f64, f64)], colour: RGBColor, width: u32) -> Drawn {
        let style = ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width: width };
        Ok(self.area.draw(&PathElement::new(points.iter().copied().map(pixel).collect::<Vec<_>>(), style))?)
    }

    /// A straight dashed line.
    pub fn dashed(&self, from: (f64, f64), to: (f64, f64), colour: RGBColor, width: u32) -> Drawn {
        const DASH: f64 = 22.0;
        const GAP: f64 = 14.0;
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let at = |distance: f64| {
            let share = if length > 0.0 { distance / length } else { 0.0 };
            (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share)
        };
        let mut start = 0.0;
        while start < length {
            self.line(&[at(start), at((start + DASH).min(length))], colour, width)?;
            start += DASH + GAP;
        }
        Ok(())
    }

    /// A point: filled, or white with an edge.
    pub fn marker(&self, marker: Marker, (x, y): (f64, f64), radius: f64, colour: RGBColor, filled: bool) -> Drawn {
        let shape = |radius: f64| -> Vec<(i32, i32)> {
            let corners: &[(f64, f64)] = match marker {
                Marker::Circle => &[],
                Marker::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
                Marker::Triangle => &[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
                Marker::Diamond => &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
            };
            corners.iter().map(|(dx, dy)| pixel((x + dx * radius, y + dy * radius))).collect()
        };
        let draw = |radius: f64, colour: RGBColor| -> Drawn {
            match marker {
                Marker::Circle => {
                    self.area.draw(&Circle::new(pixel((x, y)), radius.round() as i32, colour.filled()))?
                }
                _ => self.area.draw(&Polygon::new(shape(radius), colour.filled()))?,
            }
            Ok(())
        };
        draw(radius, colour)?;
        if filled { Ok(()) } else { draw(radius * 0.55, theme::PAPER) }
    }
}

fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

fn corners(rect: Rect) -> [(i32, i32); 2] {
    [pixel((rect.x0, rect.y0)), pixel((rect.x1, rect.y1))]
}

/// Draws a picture of `size` pixels and encodes it.
pub fn paint(size: (u32, u32), draw: impl FnOnce(&Canvas) -> Drawn) -> Drawn<Vec<u8>> {
    register_fonts()?;
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        area.fill(&theme::PAPER)?;
        draw(&Canvas { area: area.clone() })?;
        area.present()?;
    }
    encode(size, &pixels)
}

/// The fonts are part of the program, because a server often has none installed.
fn register_fonts() -> Drawn {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok()
            && register_font(FONT, FontStyle::Bold, dejavu::sans::bold()).is_ok()
    });
    if *registered { Ok(()) } else { Err(Failure("the embedded font cannot be parsed".to_owned())) }
}

fn encode((width, height): (u32, u32), pixels: &[u8]) -> Drawn<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    encoder.set_pixel_dims(Some(PixelDimensions { xppu: PIXELS_PER_METRE, yppu: PIXELS_PER_METRE, unit: Unit::Meter }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}
