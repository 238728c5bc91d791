//! SVG to PNG with a font of our own, so that every machine draws the same bytes.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

const FONTS: [&[u8]; 2] = [
    include_bytes!("font/DejaVuSansMono-subset.ttf"),
    include_bytes!("font/DejaVuSansMono-Bold-subset.ttf"),
];

/// Draws an SVG at its own size.
pub(crate) fn render(svg: &str) -> Vec<u8> {
    let mut fonts = fontdb::Database::new();
    for font in FONTS {
        fonts.load_font_data(font.to_vec());
    }
    let options = Options {
        fontdb: Arc::new(fonts),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).unwrap();
    let size = tree.size().to_int_size();
    let mut pixmap = Pixmap::new(size.width(), size.height()).unwrap();
    resvg::render(&tree, Transform::default(), &mut pixmap.as_mut());
    pixmap.encode_png().unwrap()
}
