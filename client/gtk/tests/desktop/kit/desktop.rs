//! The desktop of a test, with its notifications and its pictures.

use std::ops::Deref;
use std::path::Path;

use gtk::gdk_pixbuf::{Colorspace, Pixbuf};
use gtk::glib::Bytes;
use letschat_tests::desktop::{Desktop as Screen, Picture};

use super::colours::Colours;
use super::notifications::{self, Shown};

/// A desktop for one test.
pub(crate) struct Desktop {
    screen: Screen,
    /// The notifications that programs have sent.
    pub(crate) notifications: Shown,
    /// The wish for light or dark.
    pub(crate) colours: Colours,
}

impl Deref for Desktop {
    type Target = Screen;

    fn deref(&self) -> &Screen {
        &self.screen
    }
}

impl Desktop {
    pub(crate) fn start() -> Desktop {
        let screen = Screen::start();
        let notifications = notifications::take(screen.bus());
        let colours = Colours::tell(screen.bus());
        Desktop { screen, notifications, colours }
    }

    /// Returns the mean brightness of the upper left part of the screen, from 0 to 255.
    pub(crate) fn brightness(&self, width: usize, height: usize) -> u64 {
        let Picture { width: all, pixels, .. } = self.screen.picture();
        let rows = pixels.chunks(all * 3).take(height);
        let bytes = rows.flat_map(|row| &row[..width * 3]);
        bytes.map(|byte| u64::from(*byte)).sum::<u64>() / (width * height * 3) as u64
    }

    /// Keeps a picture of the upper left part of the screen.
    pub(crate) fn keep_picture(&self, name: &str, width: i32, height: i32) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.png"));
        let Picture { width: all, height: rows, pixels } = self.screen.picture();
        let (all, rows) = (all as i32, rows as i32);
        let bytes = Bytes::from_owned(pixels);
        let screen = Pixbuf::from_bytes(&bytes, Colorspace::Rgb, false, 8, all, rows, all * 3);
        let part = screen.new_subpixbuf(0, 0, width.min(all), height.min(rows));
        part.savev(&path, "png", &[]).unwrap();
    }
}
