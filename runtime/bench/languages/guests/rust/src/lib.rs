//! The benchmark's three operators in Rust, as a user would write them.

use serde::Deserialize;
use tidemill::prelude::*;

#[derive(Row)]
struct Sale<'a> {
    user: &'a str,
    quantity: i64,
    price: f64,
}

#[derive(Row)]
struct Worth {
    total: f64,
}

#[derive(Operator)]
struct Price {
    #[tm(name = "in")]
    input: In<Sale<'static>>,
    out: Out<Worth>,
}

/// What each row is worth.
#[operator]
impl Price {
    #[on_row(input)]
    fn on_row(&mut self, sale: &Sale) -> Result {
        self.out.emit(Worth { total: sale.quantity as f64 * sale.price + sale.user.len() as f64 });
        Ok(())
    }
}

#[derive(Row)]
struct Paid {
    price: f64,
}

#[derive(Row)]
struct Spent {
    user: FromKey,
    spent: f64,
}

#[derive(Operator)]
struct Spend {
    #[tm(name = "in")]
    input: In<Paid>,
    out: Out<Spent>,
    #[tm(prefetch)]
    spent: Value<f64>,
}

/// What each user has spent so far.
#[operator]
impl Spend {
    #[on_row(input)]
    fn on_row(&mut self, paid: &Paid) -> Result {
        let spent = self.spent.get().unwrap_or(0.0) + paid.price;
        self.spent.set(spent);
        self.out.emit(Spent { user: FromKey, spent });
        Ok(())
    }
}

#[derive(Row)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Row)]
struct Order {
    id: i64,
    items: i64,
    total: f64,
}

#[derive(Deserialize)]
struct Document {
    id: i64,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    quantity: i64,
    price: f64,
}

#[derive(Operator)]
struct Parse {
    #[tm(name = "in")]
    input: In<Text<'static>>,
    out: Out<Order>,
}

/// Reads an order in JSON.
#[operator]
impl Parse {
    #[on_row(input)]
    fn on_row(&mut self, row: &Text) -> Result {
        let document: Document = serde_json::from_str(row.text).map_err(|e| Error::new(e.to_string()))?;
        let mut total = 0.0;
        for item in &document.items {
            total += item.quantity as f64 * item.price;
        }
        self.out.emit(Order { id: document.id, items: document.items.len() as i64, total });
        Ok(())
    }
}

tidemill::operators!(Price, Spend, Parse);
