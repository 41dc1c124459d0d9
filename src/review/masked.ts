/**
 * A number of which the country code's first digit and the last four are left: enough for whoever has the list to
 * find the entry, and no number to dial. An extension is masked but for its length.
 */
export const maskedNumber = (text: string): string => {
  const [e164 = '', extension] = text.split(';ext=', 2);
  const digits = e164.replace(/\D/g, '');
  if (digits.length < 7) return '…';
  const hidden = `+${digits.slice(0, 1)}${'*'.repeat(digits.length - 5)}${digits.slice(-4)}`;
  return extension === undefined ? hidden : `${hidden};ext=${'*'.repeat(extension.length)}`;
};
