import PDFDocument from 'pdfkit';
import { bodyBottom, bodyWidth, colours, fonts, page, shown, sizes } from './look.js';

type Doc = InstanceType<typeof PDFDocument>;
type Element = ReturnType<Doc['struct']>;

export interface SheetInfo {
  readonly title: string;
  readonly subject: string;
  readonly creator: string;
  /** The date in the file: never that of its making, or the same statement would be other bytes every time. */
  readonly date: Date;
  /** Said at the head of each page: of what, and of which time. */
  readonly head: readonly [string, string];
  readonly foot: string;
}

export interface Column {
  readonly title: string;
  /** Share of the width; all shares of a table add up to 1. */
  readonly width: number;
  readonly align?: 'left' | 'right';
  readonly code?: boolean;
}

/** The types of the library do not know what its elements take: the box of a figure, and what a header is of. */
interface ElementOptions {
  readonly alt?: string;
  readonly bbox?: readonly [number, number, number, number];
  readonly placement?: 'Block';
  readonly scope?: 'Column' | 'Row';
}

const CELL = { x: 5, y: 3.2 } as const;

/**
 * A tagged PDF (PDF 1.7, ISO 32000 section 14.8) written from top to bottom: every word stands in an element of the
 * structure or is an artifact, so that a screen reader reads it in order. The bytes depend on what is written alone.
 */
export class Sheet {
  readonly #doc: Doc;
  readonly #info: SheetInfo;
  readonly #root: Element;
  readonly #chunks: Buffer[] = [];
  readonly #done: Promise<Buffer>;
  #section: Element | null = null;

  constructor(info: SheetInfo) {
    this.#info = info;
    this.#doc = new PDFDocument({
      size: [page.width, page.height],
      margins: { top: page.top, bottom: 0, left: page.left, right: page.right },
      pdfVersion: '1.7',
      tagged: true,
      lang: 'en-US',
      displayTitle: true,
      bufferPages: true,
      // What a zlib makes of the same bytes may change with its version.
      compress: false,
      info: {
        Title: info.title,
        Subject: info.subject,
        Creator: info.creator,
        Producer: info.creator,
        CreationDate: info.date,
        ModDate: info.date,
      },
    });
    this.#done = new Promise((resolve, reject) => {
      this.#doc.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
      this.#doc.once('end', () => resolve(Buffer.concat(this.#chunks)));
      this.#doc.once('error', reject);
    });
    this.#root = this.#doc.struct('Document');
    this.#doc.addStructure(this.#root);
    this.#doc.fillColor(colours.ink);
  }

  get y(): number {
    return this.#doc.y;
  }

  /** Begins a new page unless so many points are left on this one. */
  room(points: number): void {
    if (this.#doc.y + points > bodyBottom) this.#doc.addPage();
  }

  newPage(): void {
    this.#doc.addPage();
  }

  gap(points: number): void {
    this.#doc.y += points;
  }

  title(text: string, under: readonly string[]): void {
    this.#section = this.#child(this.#root, 'Sect');
    this.#words('H1', text, fonts.bold, sizes.title, colours.accent);
    for (const line of under) {
      this.gap(3);
      this.#words('P', line, fonts.text, sizes.h2, colours.soft);
    }
    this.gap(14);
  }

  /** A chapter: `need` points of what follows stay with its heading. */
  heading(text: string, need = 110): void {
    this.#section?.end();
    if (this.#doc.y > page.top) this.gap(16);
    this.room(need);
    this.#section = this.#child(this.#root, 'Sect');
    const top = this.#doc.y;
    this.#words('H2', text, fonts.bold, sizes.h1, colours.accent);
    this.#artifact(() =>
      this.#doc
        .moveTo(page.left, this.#doc.y + 2)
        .lineTo(page.width - page.right, this.#doc.y + 2)
        .lineWidth(0.8)
        .strokeColor(colours.rule)
        .stroke(),
    );
    this.#doc.outline.addItem(text);
    this.#doc.y = Math.max(this.#doc.y, top) + 8;
  }

  subheading(text: string, need = 80): void {
    this.gap(8);
    this.room(need);
    this.#words('H3', text, fonts.bold, sizes.h2, colours.ink);
    this.gap(4);
  }

  text(words: string, colour: string = colours.ink, bold = false): void {
    this.#words('P', words, bold ? fonts.bold : fonts.text, sizes.text, colour);
    this.gap(5);
  }

  /** A line of a fixed font: hashes and commands. */
  code(words: string): void {
    this.#words('Code', words, fonts.code, sizes.table, colours.ink, 10);
    this.gap(4);
  }

  /** A picture: `alt` says in words what it shows, for those who do not see it. */
  figure(alt: string, height: number, draw: (doc: Doc, x: number, y: number, width: number) => void): void {
    this.room(height + 6);
    const top = this.#doc.y;
    const options: ElementOptions = {
      alt: shown(alt),
      bbox: [page.left, top, page.left + bodyWidth, top + height],
      placement: 'Block',
    };
    const figure = this.#doc.struct('Figure', options as object, () => {
      this.#doc.save();
      draw(this.#doc, page.left, top, bodyWidth);
      this.#doc.restore();
    });
    this.#parent().add(figure);
    this.#doc.x = page.left;
    this.#doc.y = top + height + 6;
    this.#doc.fillColor(colours.ink).font(fonts.text);
  }

  /** A table with its headers; the first cell of a row names the row. Headers are drawn again on each page. */
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    const table = this.#child(this.#parent(), 'Table');
    const header = columns.map(({ title }) => title);
    const height = this.#height(columns, header, true);
    const first = rows[0] === undefined ? 0 : this.#height(columns, rows[0], false);
    this.room(height + first + 4);
    this.#row(table, columns, header, height, 'header');
    for (const [i, row] of rows.entries()) {
      const needs = this.#height(columns, row, false);
      if (this.#doc.y + needs > bodyBottom) {
        this.#doc.addPage();
        this.#artifact(() => this.#cells(columns, header, height, 'header'));
        this.#doc.y += height;
      }
      this.#row(table, columns, row, needs, i % 2 === 1 ? 'odd' : 'even');
    }
    table.end();
    this.gap(6);
  }

  /** Ends the document and resolves to its bytes. */
  async end(): Promise<Buffer> {
    this.#section?.end();
    this.#root.end();
    const { count } = this.#doc.bufferedPageRange();
    for (let i = 0; i < count; i += 1) {
      this.#doc.switchToPage(i);
      this.#artifact(() => this.#frame(i + 1, count), 'Pagination');
    }
    this.#doc.end();
    return this.#done;
  }

  #frame(number: number, of: number): void {
    const doc = this.#doc;
    const line = (y: number): void =>
      void doc
        .moveTo(page.left, y)
        .lineTo(page.width - page.right, y)
        .lineWidth(0.5)
        .strokeColor(colours.rule)
        .stroke();
    const at = (text: string, y: number, align: 'left' | 'right', font: string = fonts.text): void =>
      void doc
        .font(font)
        .fontSize(sizes.small)
        .fillColor(colours.soft)
        .text(shown(text), page.left, y, { width: bodyWidth, align, lineBreak: false });
    at(this.#info.head[0], 38, 'left', fonts.bold);
    at(this.#info.head[1], 50, 'left');
    line(64);
    line(page.height - 46);
    at(this.#info.foot, page.height - 38, 'left');
    at(`Page ${number} of ${of}`, page.height - 38, 'right');
  }

  #parent(): Element {
    return this.#section ?? this.#root;
  }

  #child(parent: Element, tag: string): Element {
    const element = this.#doc.struct(tag);
    parent.add(element);
    return element;
  }

  #words(tag: string, text: string, font: string, size: number, colour: string, indent = 0): void {
    const doc = this.#doc;
    const options = { width: bodyWidth - indent, lineGap: 1.5 };
    const words = shown(text);
    doc.font(font).fontSize(size);
    this.room(doc.heightOfString(words, options));
    const element = doc.struct(tag, {}, () => {
      doc.fillColor(colour).text(words, page.left + indent, doc.y, options);
    });
    this.#parent().add(element);
    doc.x = page.left;
    doc.fillColor(colours.ink);
  }

  #artifact(draw: () => void, type: 'Layout' | 'Pagination' = 'Layout'): void {
    this.#doc.markContent('Artifact', { type });
    this.#doc.save();
    draw();
    this.#doc.restore();
    this.#doc.endMarkedContent();
  }

  #height(columns: readonly Column[], row: readonly string[], header: boolean): number {
    const heights = columns.map((column, i) => {
      this.#font(column, header);
      return this.#doc.heightOfString(shown(row[i] ?? ''), { width: column.width * bodyWidth - 2 * CELL.x });
    });
    return Math.max(...heights) + 2 * CELL.y;
  }

  #font({ code }: Column, header: boolean): void {
    this.#doc
      .font(header ? fonts.bold : code === true ? fonts.code : fonts.text)
      .fontSize(code === true && !header ? sizes.small : sizes.table);
  }

  #row(
    table: Element,
    columns: readonly Column[],
    row: readonly string[],
    height: number,
    how: 'header' | 'odd' | 'even',
  ): void {
    const top = this.#doc.y;
    this.#artifact(() => this.#ground(top, height, how));
    const tr = this.#child(table, 'TR');
    let x: number = page.left;
    for (const [i, column] of columns.entries()) {
      const scope = how === 'header' ? 'Column' : i === 0 ? 'Row' : null;
      const left = x;
      const options: ElementOptions = scope === null ? {} : { scope };
      const cell = this.#doc.struct(scope === null ? 'TD' : 'TH', options as object, () =>
        this.#cell(column, row[i] ?? '', left, top, how === 'header'),
      );
      tr.add(cell);
      x += column.width * bodyWidth;
    }
    tr.end();
    this.#doc.x = page.left;
    this.#doc.y = top + height;
  }

  /** The header once more, on the next page: drawn, and no part of what is read aloud. */
  #cells(columns: readonly Column[], row: readonly string[], height: number, how: 'header'): void {
    const top = this.#doc.y;
    this.#ground(top, height, how);
    let x: number = page.left;
    for (const [i, column] of columns.entries()) {
      this.#cell(column, row[i] ?? '', x, top, true);
      x += column.width * bodyWidth;
    }
    this.#doc.y = top;
  }

  #ground(top: number, height: number, how: 'header' | 'odd' | 'even'): void {
    const doc = this.#doc;
    if (how !== 'even') {
      doc
        .rect(page.left, top, bodyWidth, height)
        .fillColor(how === 'header' ? '#e3e8ef' : colours.band)
        .fill();
    }
    doc
      .moveTo(page.left, top + height)
      .lineTo(page.left + bodyWidth, top + height)
      .lineWidth(0.4)
      .strokeColor(colours.rule)
      .stroke();
  }

  #cell(column: Column, text: string, x: number, top: number, header: boolean): void {
    this.#font(column, header);
    this.#doc.fillColor(header ? colours.accent : colours.ink).text(shown(text), x + CELL.x, top + CELL.y, {
      width: column.width * bodyWidth - 2 * CELL.x,
      align: column.align ?? 'left',
    });
  }
}
