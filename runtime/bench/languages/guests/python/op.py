"""The benchmark's three operators in Python, as a user would write them."""

import json

import tidemill
from tidemill import In, Out, Value, from_key


@tidemill.row
class Sale:
    user: str
    quantity: int
    price: float


@tidemill.row
class Worth:
    total: float


class Price(tidemill.Operator):
    """What each row is worth."""

    in_: In[Sale]
    out: Out[Worth]

    def on_in(self, sale: Sale) -> None:
        self.out.emit(Worth(sale.quantity * sale.price + len(sale.user)))


@tidemill.row
class Paid:
    price: float


@tidemill.row
class Spent:
    user: str = from_key()
    spent: float


class Spend(tidemill.Operator):
    """What each user has spent so far."""

    in_: In[Paid]
    out: Out[Spent]
    spent: Value[float]

    def on_in(self, paid: Paid) -> None:
        spent = self.spent.get(0.0) + paid.price
        self.spent.set(spent)
        self.out.emit(Spent(spent))


@tidemill.row
class Text:
    text: str


@tidemill.row
class Order:
    id: int
    items: int
    total: float


class Parse(tidemill.Operator):
    """Reads an order in JSON."""

    in_: In[Text]
    out: Out[Order]

    def on_in(self, row: Text) -> None:
        document = json.loads(row.text)
        items = document["items"]
        self.out.emit(Order(document["id"], len(items), sum(i["quantity"] * i["price"] for i in items)))
